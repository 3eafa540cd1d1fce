"""Which synthetic images may be trained on: the finding is there, nothing is invented, no image is a copy or a twin."""

from trcgl.diffusion.audit.card import synthetic_card
from trcgl.diffusion.audit.pictures import draw_audit
from trcgl.diffusion.audit.report import audit_metrics
from trcgl.diffusion.audit.run import audit_synthetic

__all__ = ["audit_metrics", "audit_synthetic", "draw_audit", "synthetic_card"]
