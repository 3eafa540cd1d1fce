"""One image at a time: BatchNorm has nothing to compare it with."""

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
    """Say that BatchNorm learns from single images, if the model has any.

    Args:
        section: of the params file, such as `baseline`.
    """
    if any(isinstance(module, _BatchNorm) for module in model.modules()):
        log.warning(
            "'%s.batch_size' / 'accumulate' is 1 image, which BatchNorm normalises by itself alone; %s", section, WAYS
        )


@contextmanager
def naming_accumulate(part: int, section: str) -> Iterator[None]:
    """Report that BatchNorm cannot normalise a single number in one line.

    Args:
        part: images that are computed at once.
        section: of the params file, such as `baseline`.

    Raises:
        InputError: a map of one place of one image came to a BatchNorm.
    """
    try:
        yield
    except ValueError as error:
        if part > 1 or "more than 1 value per channel" not in str(error):
            raise
        raise InputError(
            f"'{section}.batch_size' / 'accumulate' is 1 image, too few for BatchNorm on a map of 1 x 1; {WAYS}"
        ) from None
