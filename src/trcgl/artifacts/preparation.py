"""How a file becomes the 8-bit square that a network reads; trcgl.images.preparation takes these steps."""

from dataclasses import dataclass

from trcgl.config import ImagesParams
from trcgl.runtime.errors import InputError

RESIZES = ("pad", "crop")


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
