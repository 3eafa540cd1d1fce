"""Decide which synthetic images may be used in training.

The target finding must be visible. The image must not be a copy of a training image, unlike all real images, or a twin
of another sample.
"""

from trcgl.audit.card import synthetic_card
from trcgl.audit.pictures import draw_audit
from trcgl.audit.report import audit_metrics
from trcgl.audit.run import audit_synthetic

__all__ = ["audit_metrics", "audit_synthetic", "draw_audit", "synthetic_card"]
