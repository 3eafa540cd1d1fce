"""Losses for incomplete, imbalanced multi-label targets.

Every loss: `loss(logits [B, C], targets [B, C] of 1, 0 and NaN, sample_weight [B]) -> scalar`. Unknown targets count
nothing; the terms are summed over classes (a class's pull does not depend on how many others there are) and averaged
over the batch, a sample of weight 0.5 counting half as much as one of weight 1.
"""
