"""From the backbone's last map to logits. Every head: `[B, F, h, w] -> (logits [B, C], class maps [B, C, h, w])`.

A class map shows the evidence at each position. Its sum over the positions is the part of the logit that comes from
image positions: all of it except biases and, in `trcgl_paper`, the label graph's term. `mldecoder` is an exception: it
is not linear in the positions, and its maps are attention.
"""
