"""Reads the JSON files of a saved classifier; error messages give the name of the file and the key."""

import inspect
import json
import math
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from trcgl.runtime.errors import InputError
from trcgl.runtime.files import read_json

Made = TypeVar("Made")


def not_saved(folder: Path, why: str) -> InputError:
    """The error for a folder that does not hold a saved classifier."""
    return InputError(f"{folder}: not a saved classifier ({why}); dvc repro writes one to data/models/classifier")


def read_object(folder: Path, file: str) -> dict[str, Any]:
    """The content of a file that holds a JSON object.

    Raises:
        InputError: the file is damaged, or holds something else.
    """
    values = read_json(folder / file)
    if not isinstance(values, dict):
        raise not_saved(folder, f"{file} is not a JSON object")
    return values


def made(
    kind: Callable[..., Made], folder: Path, where: str, values: Any, others: Mapping[str, Any] | None = None
) -> Made:
    """`kind(**values, **others)`.

    Args:
        where: file and key of the values, for messages.
        values: from the file.
        others: not from the file.

    Raises:
        InputError: `values` is not a JSON object, lacks a key or has an unknown one; or `kind` refuses them.
    """
    if not isinstance(values, dict):
        raise not_saved(folder, f"{where} is {_shown(values)}, not a JSON object")
    others = others or {}
    wanted = {name: value for name, value in inspect.signature(kind).parameters.items() if name not in others}
    lacks = [name for name, value in wanted.items() if value.default is value.empty and name not in values]
    unknown = sorted(values.keys() - wanted.keys())
    if lacks or unknown:
        what = f"lacks '{lacks[0]}'" if lacks else f"has the unknown key '{unknown[0]}'"
        raise not_saved(folder, f"{where} {what}")
    try:
        return kind(**values, **others)
    except (InputError, TypeError) as error:
        raise not_saved(folder, f"{where}: {error}") from None


def number(folder: Path, where: str, value: Any, high: float = math.inf) -> float:
    """A value as a finite number.

    Args:
        where: file and key of the value, for the message.
        high: if given, the number must be in 0..high.

    Raises:
        InputError: the value is not a finite number, or outside of the range.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise not_saved(folder, f"{where} is {_shown(value)}, not a number")
    if high < math.inf and not 0 <= value <= high:
        raise not_saved(folder, f"{where} is {_shown(value)}, not in 0..{high:g}")
    return float(value)


def _shown(value: Any) -> str:
    return textwrap.shorten(json.dumps(value, ensure_ascii=False), 40, placeholder=" ...")
