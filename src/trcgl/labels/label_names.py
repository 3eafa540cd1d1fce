"""The names in label lists: each is one finding, written in one way."""

import re
import unicodedata
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path

from trcgl.labels.cells import first_twins, name_key, names_nothing, say
from trcgl.runtime.errors import InputError
from trcgl.tables import clean_text

HAS_NO_NAME = ""
"""Stands for an entry that names nothing, such as NA."""
QUOTES = (
    "''",
    '""',
    "``",
    "\u2018\u2019",
    "\u201c\u201d",
    "\u201e\u201c",
    "\u201e\u201d",
    "\u201a\u2018",
    "\u00ab\u00bb",
    "\u00bb\u00ab",
    "\u201d\u201d",
    "\u2019\u2019",
)
OPENING = "".join(sorted({pair[0] for pair in QUOTES}))
CLOSING = '"`\u201d\u00bb'
NUMBER = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]*)?(?:[eE][+-]?[0-9]+)?")
SEPARATORS = re.compile(r"[,;/+&\\|\u00a6]")


def checked_names(
    path: Path, column: str, lists: Sequence[Sequence[str]], row_of: Callable[[int], int]
) -> Sequence[Sequence[str]]:
    """The lists with each label as it is meant, HAS_NO_NAME for one that names nothing, none twice in a list.

    Quotes around a label, and characters that cannot be seen, are left out; a line says so.

    Args:
        path, column: for messages.
        lists: the different label lists of a table.
        row_of: the first row that has the list of an index.

    Raises:
        InputError: a label is a number, holds a control character or a separator, has one quote, or is written in two
            ways.
    """
    different = list(dict.fromkeys(chain.from_iterable(lists)))
    meant = {label: _meant(label) for label in different}
    changed = [label for label in different if meant[label] not in (label, HAS_NO_NAME)]

    def place(label: str) -> str:
        return f"row {row_of(next(index for index, labels in enumerate(lists) if label in labels))}"

    def said(label: str) -> str:
        return f"{path}: {place(label)}: {column} '{label}'"

    if changed:
        say(f"{said(changed[0])} is read as '{meant[changed[0]]}'; {len(changed)} labels are read so")
    pipes = any(len(labels) > 1 for labels in lists)
    known = {name_key(name) for name in meant.values() if name}
    spelled: dict[str, str] = {}
    for label, name in meant.items():
        if name == HAS_NO_NAME:
            continue
        wrong = _wrong(name, known, pipes)
        if wrong:
            raise InputError(f"{said(label)} {wrong}")
        spelled.setdefault(name, label)
    twins = first_twins(spelled)
    if twins:
        one, other = (spelled[name] for name in twins)
        raise InputError(
            f"{said(other)} is the finding '{one}' of {place(one)} in another spelling; write it in one way"
        )
    if all(meant[label] == label for label in different):
        return lists
    return [list(dict.fromkeys(meant[label] for label in labels)) for labels in lists]


def _meant(label: str) -> str:
    name = clean_text(label)
    while len(name) > 1 and name[0] + name[-1] in QUOTES and not set(name[1:-1]) & {name[0], name[-1]}:
        name = name[1:-1].strip()
    return HAS_NO_NAME if names_nothing(name) else name


def _wrong(name: str, known: set[str], pipes: bool) -> str:
    """What is wrong with a label, "" if nothing is."""
    if any(unicodedata.category(character) in ("Cc", "Co", "Cn", "Cs", "Zl", "Zp") for character in name):
        return "holds a character that is not text; write it out"
    if name[0] in OPENING or name[0] in "[{" or (name[-1] in CLOSING and not set(name) & set(OPENING)):
        return "has a quote or bracket on one side; write the list in the data set's way"
    if NUMBER.fullmatch(name):
        return "is a number, not the name of a finding; give the column of names"
    parts = [name_key(part) in known for part in SEPARATORS.split(name)]
    several = len(parts) > 1 and (any(parts) or ("," in name and not pipes))
    if several or re.search(r"[;|\u00a6]", name):
        return "seems to be several labels; separate them as this data set does (such as by '|'), or rename the finding"
    return ""
