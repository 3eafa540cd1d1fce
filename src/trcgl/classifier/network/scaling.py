"""The calibrated logit of a finding; trcgl.classifier.training.calibration fits it."""

from typing import NamedTuple


class Scaling(NamedTuple):
    """calibrated logit = slope * logit + offset."""

    slope: float = 1.0
    offset: float = 0.0
