"""How a file becomes the 8-bit square that a network reads; trcgl.images.preparation takes these steps."""

from dataclasses import dataclass

from trcgl.config import ImagesParams


@dataclass(frozen=True)
class Preparation:
    """What is decided about pixels but for their number; a saved classifier carries it.

    Attributes:
        window_low, window_high: percentiles shown as black and white, 0..100.
        resize: `pad` or `crop`; see trcgl.images.resize.
    """

    window_low: float
    window_high: float
    resize: str

    @classmethod
    def from_params(cls, params: ImagesParams) -> "Preparation":
        return cls(params.window_low, params.window_high, params.resize)
