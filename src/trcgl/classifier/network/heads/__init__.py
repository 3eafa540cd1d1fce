"""From the backbone's last map to logits. Every head: `[B, F, h, w] -> (logits [B, C], class maps [B, C, h, w])`.

A class map is evidence by place: its sum over the positions is the part of the logit that comes from the picture's
places (all but biases and, in `trcgl_paper`, the label graph's term). `mldecoder` is not linear in the places; its
maps are attention.
"""
