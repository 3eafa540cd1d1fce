"""Which synthetic images may be trained on: the finding is there, no image is a copy or a twin."""

from trcgl.audit.card import synthetic_card
from trcgl.audit.pictures import draw_audit
from trcgl.audit.report import audit_metrics
from trcgl.audit.run import audit_synthetic

__all__ = ["audit_metrics", "audit_synthetic", "draw_audit", "synthetic_card"]
