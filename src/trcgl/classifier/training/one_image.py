"""A warning and an error message for batches that are computed one image at a time, which BatchNorm handles badly."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from trcgl.runtime.errors import InputError
from trcgl.runtime.logging import get_logger

log = get_logger("train")

WAYS = (
    "lower accumulate, raise batch_size, or use a backbone without BatchNorm (such as convnext or vit) and a head "
    "other than trcgl_paper"
)


def warn_of_one_image(model: nn.Module, section: str) -> None:
    """Log a warning that BatchNorm normalises single images, if the model has BatchNorm layers.

    Args:
        section: of the params file, such as `baseline`.
    """
    if any(isinstance(module, _BatchNorm) for module in model.modules()):
        log.warning(
            "'%s.batch_size' / 'accumulate' is 1 image, which BatchNorm normalises by itself alone; %s", section, WAYS
        )


@contextmanager
def naming_accumulate(part: int, section: str) -> Iterator[None]:
    """Replace the error that BatchNorm cannot normalise a single value by a one-line message with a remedy.

    Args:
        part: number of images computed at once.
        section: of the params file, such as `baseline`.

    Raises:
        InputError: the input of a BatchNorm was a 1 x 1 map of a single image.
    """
    try:
        yield
    except ValueError as error:
        if part > 1 or "more than 1 value per channel" not in str(error):
            raise
        raise InputError(
            f"'{section}.batch_size' / 'accumulate' is 1 image, too few for BatchNorm on a map of 1 x 1; {WAYS}"
        ) from None
