"""How an image file becomes the 8-bit square that a network reads; trcgl.images.preparation carries out these steps."""

from dataclasses import dataclass

from trcgl.config import ImagesParams
from trcgl.runtime.errors import InputError

RESIZES = ("pad", "crop")


@dataclass(frozen=True)
class Preparation:
    """All settings for the pixels except the image size; a saved classifier includes them.

    Attributes:
        window_low, window_high: percentiles, in 0..100, that become black and white.
        resize: `pad` or `crop`; see trcgl.images.resize.
    """

    window_low: float
    window_high: float
    resize: str

    def __post_init__(self) -> None:
        if not 0 <= self.window_low < self.window_high <= 100:
            raise InputError(
                f"'window_low' is {self.window_low} and 'window_high' {self.window_high}; they must be percentiles "
                "from 0 to 100, the lower one first"
            )
        if self.resize not in RESIZES:
            raise InputError(f"'resize' is {self.resize!r}; it must be one of: {', '.join(RESIZES)}")

    @classmethod
    def from_params(cls, params: ImagesParams) -> "Preparation":
        return cls(params.window_low, params.window_high, params.resize)
