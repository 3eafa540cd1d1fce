"""Losses for incomplete, imbalanced multi-label targets; base.py has what they share, build.py names them.

A loss only shapes training: the model that it leaves is read as sigmoid(logit), whichever loss trained it.
"""
