"""Losses for incomplete, imbalanced multi-label targets; base.py has what they share, build.py lists their names.

A loss only affects training. At inference the probability is sigmoid(logit), whichever loss trained the model.
"""
