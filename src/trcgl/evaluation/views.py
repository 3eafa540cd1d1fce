"""Test-time augmentation: which views of a picture are scored.

A mirror image is another patient where sides matter (dextrocardia, azygos lobe): it is left out unless asked for.
"""

from trcgl.classifier.network.views import View
from trcgl.config import EvaluationParams


def views(params: EvaluationParams) -> tuple[View, ...]:
    """The picture as it is, then its shifts (four) and sizes (two), then the mirror images of all these."""
    shift, scale = params.test_time_shift, params.test_time_scale
    found = [View()]
    if shift:
        found += [View(right=shift), View(right=-shift), View(down=shift), View(down=-shift)]
    if scale:
        found += [View(zoom=1 + scale), View(zoom=1 / (1 + scale))]
    if params.test_time_flip:
        found += [View(view.right, view.down, view.zoom, mirrored=True) for view in found]
    return tuple(found)
