"""YAML files as frozen, typed sections: each key's type and range are declared once; an error is a single line.

ruamel.yaml reads the files, because PyYAML reads the `1e-05` that `dvc exp run -S` writes as a string.
"""

import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict, TypeVar, dataclass_transform

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from trcgl.runtime.errors import InputError
from trcgl.runtime.letters import odd_letters


def knob(
    *, low: float | None = None, high: float | None = None, choices: tuple[str, ...] | None = None, path: bool = False
) -> Any:
    """A field with bounds (both inclusive), with a closed set of choices, or with a path, which may not be blank."""
    return dataclasses.field(metadata={"low": low, "high": high, "choices": choices, "path": path})


Section = TypeVar("Section")


@dataclass_transform(frozen_default=True, field_specifiers=(knob,))
def section(kind: type[Section]) -> type[Section]:
    """Make a class a frozen dataclass; its fields with bounds or choices are declared with `knob`."""
    return dataclass(frozen=True)(kind)


class Range(TypedDict):
    low: float
    high: float


def read_yaml(path: str | Path) -> Any:
    """The values of a YAML file.

    Raises:
        InputError: the file is missing or not YAML.
    """
    return parse_yaml(read_text(path), path)


def read_text(path: str | Path) -> str:
    """The text of a params file or an overlay.

    Raises:
        InputError: the file is missing or not UTF-8.
    """
    path = Path(path)
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); run in the project's folder, or name another file"
        ) from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not text in UTF-8 (byte {error.start}); save it as UTF-8") from None


def parse_yaml(text: str, file: str | Path, *, comments: bool = False) -> Any:
    """The values in the text of a YAML file; with `comments`, in ruamel.yaml's own types, which keep the comments.

    Raises:
        InputError: the text is not YAML, or a value cannot be converted. The message names `file`.
    """
    # Neither kind of reader creates Python objects from tags
    reader = YAML(typ="rt" if comments else "safe", pure=True)
    reader.preserve_quotes = True
    try:
        return reader.load(text)
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark else ""
        raise InputError(f"{file}{where}: not valid YAML ({getattr(error, 'problem', None) or 'syntax'})") from None
    except RecursionError:
        raise InputError(f"{file}: its lists or sections are nested too deeply; close their brackets") from None
    except (ValueError, LookupError, AttributeError) as error:
        # ruamel.yaml's own conversions of values, such as of dates and of those with a tag
        raise InputError(
            f"{file}: a value is not what its form or tag says ({' '.join(str(error).split())[:80]}); correct it, or "
            "put it in quotes"
        ) from None


def override(values: Any, overrides: Mapping[str, Any], file: str) -> None:
    """Replace values of a params file in place; raise an InputError for a dotted key that it does not have."""
    for key, value in overrides.items():
        *parents, last = key.split(".")
        section = values
        for parent in parents:
            section = section.get(parent) if isinstance(section, dict) else None
        if not isinstance(section, dict) or last not in section:
            raise InputError(f"{file}: has no key '{key}' to replace")
        section[last] = value


def merge(kind: type, values: Any, changes: Any, file: str, prefix: str) -> None:
    _check_keys(values, changes, file, prefix)
    hints = typing.get_type_hints(kind)
    for key, value in changes.items():
        if dataclasses.is_dataclass(hints.get(key)):
            merge(typing.cast(type, hints[key]), values[key], value, file, f"{prefix}{key}.")
        else:
            values[key] = value


def _check_keys(known: Collection[str], section: Any, file: str, prefix: str) -> None:
    """Check that a section is a mapping with known keys only; it need not have all of them."""
    if not isinstance(section, dict):
        what = f"'{prefix.rstrip('.')}' is {_shown(section)}; it must be a section of keys"
        whole = f"the file is {_shown(section)}; it must hold keys with values"
        raise InputError(f"{file}: {what if prefix else whole}")
    for key in section:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            right = f"did you mean '{near[0]}'?" if near else f"known keys: {', '.join(known)}"
            raise InputError(f"{file}: unknown key '{prefix}{key}'; {right}")


def read_section(kind: type, values: Any, file: str, prefix: str) -> Any:
    fields = {field.name: field for field in dataclasses.fields(kind)}
    hints = typing.get_type_hints(kind)
    _check_keys(fields, values, file, prefix)
    read = {}
    for name, field in fields.items():
        key = f"{prefix}{name}"
        if name not in values:
            raise InputError(f"{file}: key '{key}' is missing; add it (the shipped file has every key)")
        if dataclasses.is_dataclass(hints[name]):
            read[name] = read_section(typing.cast(type, hints[name]), values[name], file, f"{key}.")
        else:
            read[name] = _value(hints[name], values[name], field.metadata, file, key)
    return kind(**read)


def _as_float(value: int) -> float:
    try:
        return float(value)
    except OverflowError:  # more than 308 digits
        return math.inf


def _value(kind: Any, value: Any, bounds: Any, file: str, key: str, *, in_list: bool = False) -> Any:
    """`value` as `kind`, or an InputError. Kinds: int, float, str, bool, dict, tuple[x, ...], each optionally None.

    Texts in lists are names, which must not have look-alike letters.
    """
    optional = isinstance(kind, types.UnionType)
    if optional:
        if value is None:
            return None
        (kind,) = (part for part in typing.get_args(kind) if part is not types.NoneType)
    origin = typing.get_origin(kind)
    if origin is tuple:
        item = typing.get_args(kind)[0]
        if not isinstance(value, list):
            raise InputError(f"{file}: '{key}' is {_shown(value)}; it must be a list")
        return tuple(_value(item, part, {}, file, f"{key}[{i}]", in_list=True) for i, part in enumerate(value))
    if origin is dict:
        if not isinstance(value, dict) or not all(isinstance(k, str) for k in value):
            raise InputError(f"{file}: '{key}' is {_shown(value)}; it must be a section of names and values")
        return dict(value)
    low, high, choices = bounds.get("low"), bounds.get("high"), bounds.get("choices")
    wanted = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}[kind]
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = _as_float(value)
    wrong = odd_letters(value) if in_list and isinstance(value, str) else ""
    if wrong:
        raise InputError(f"{file}: '{key}' is '{value}', which {wrong}")
    if choices is not None:
        wanted = f"one of: {', '.join(choices)}"
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise InputError(f"{file}: '{key}' is {_shown(value)}; it must be {wanted}{' or null' if optional else ''}")
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"{file}: '{key}' is {value}; it must be a finite number")
    if choices is not None and value not in choices:
        raise InputError(f"{file}: '{key}' is '{value}'; it must be {wanted}")
    if bounds.get("path") and not str(value).strip():
        raise InputError(f"{file}: '{key}' is '{value}'; it must be a path{' or null' if optional else ''}")
    if (low is not None and value < low) or (high is not None and value > high):
        allowed = f"at least {low}" if high is None else f"between {low} and {high}"
        raise InputError(f"{file}: '{key}' is {value}; it must be {allowed}")
    return value


def _shown(value: Any) -> str:
    return "empty" if value is None else repr(value)
