"""Test-time augmentation: which views of an image are scored.

Mirroring changes the findings for which the side matters (dextrocardia, azygos lobe), so it is used only if asked for.
"""

from trcgl.classifier.network.views import View
from trcgl.config import EvaluationParams


def views(params: EvaluationParams) -> tuple[View, ...]:
    """The unchanged image, then four shifts and two scales, then the mirrored versions of all these."""
    shift, scale = params.test_time_shift, params.test_time_scale
    found = [View()]
    if shift:
        found += [View(right=shift), View(right=-shift), View(down=shift), View(down=-shift)]
    if scale:
        found += [View(zoom=1 + scale), View(zoom=1 / (1 + scale))]
    if params.test_time_flip:
        found += [View(view.right, view.down, view.zoom, mirrored=True) for view in found]
    return tuple(found)
