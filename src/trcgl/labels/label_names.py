"""Check the names in label lists: each must be one finding, and must be spelled in one way."""

import re
import unicodedata
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path

from trcgl.labels.cells import first_twins, misread, name_key, say, say_disguised
from trcgl.labels.doubt import WORD, in_doubt
from trcgl.runtime.errors import InputError, and_more
from trcgl.runtime.letters import clean_text, odd_letters, seen_as
from trcgl.tables import names_nothing

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
NUMBER = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]*)?(?:[eE][+-]?[0-9]+)?(?:\s+[+-]?[0-9]+(?:[.,][0-9]*)?)*")
"""One, or a row of them."""
MARKUP = re.compile(r"</?(?:br|p|li|ul|ol|td|tr|th|div|span|b|i|strong|em)\b[ /]*>|&(?:[a-z]+|#[0-9]+);", re.IGNORECASE)
"""As on web pages."""
SEPARATORS = re.compile(r"[,;/+&\\|\u00a6]")
OTHER_SEPARATORS = str.maketrans(
    {
        **dict.fromkeys("\u3001\u060c\ufe50\ufe51", ","),
        **dict.fromkeys("\u061b\ufe54", ";"),
        **dict.fromkeys("\u2016\u2223\u2502\u2503", "|"),
    }
)
"""Commas, semicolons and bars of other scripts that are no wide form of the usual ones."""
JOINING = frozenset(["and", "or", "with", "plus", "vs", "y", "o", "e", "con", "et", "ou", "avec", "und", "oder", "mit"])
NUMBER_BEHIND = re.compile(
    r".*\S(?:\s*[:=]\s*[+-]?[0-9]+(?:[.,][0-9]+)?\s*%?|(?<![<>=\u2264\u2265])\s+[0-9]+(?:[.,][0-9]+)?\s*%)"
)
MOST_WORDS = 12
"""A longer name is a sentence."""


def checked_names(
    path: Path, column: str, lists: Sequence[Sequence[str]], row_of: Callable[[int], int], *, like: str
) -> Sequence[Sequence[str]]:
    """The lists with cleaned labels: without repetition, and HAS_NO_NAME for a label that names nothing.

    Quotes around a label and invisible characters are removed; a log line says so.

    Args:
        path, column: for messages.
        lists: the different label lists of a table.
        row_of: gives the first row that has the list with a given index.
        like: an example of two labels in the table's format, for messages.

    Raises:
        InputError: a label is or ends with a number, holds a control character or a separator, has an unpaired quote or
            look-alike letters, was decoded wrongly, says that a finding is absent or in doubt, or has two spellings.
    """
    different = list(dict.fromkeys(chain.from_iterable(lists)))
    meant = {label: _meant(label) for label in different}
    changed = [label for label in different if meant[label] not in (label, HAS_NO_NAME)]

    def place(label: str) -> str:
        return f"row {row_of(next(index for index, labels in enumerate(lists) if label in labels))}"

    def said(label: str) -> str:
        return f"{path}: {place(label)}: {column} '{label}'"

    if changed:
        say(f"{said(changed[0])} is read as '{meant[changed[0]]}' (labels read otherwise: {len(changed)})")
    pipes = any(len(labels) > 1 for labels in lists)
    known = {name_key(name) for name in meant.values() if name}
    spelled: dict[str, str] = {}
    for label, name in meant.items():
        if name == HAS_NO_NAME:
            continue
        wrong = _wrong(name, known, pipes, like)
        if wrong:
            raise InputError(f"{said(label)} {wrong}")
        spelled.setdefault(name, label)
    twins = first_twins(spelled)
    if twins:
        one, other = (spelled[name] for name in twins)
        raise InputError(
            f"{said(other)}{seen_as(other)} is the finding '{one}'{seen_as(one)} of {place(one)} in another "
            "spelling; write it in one way"
        )
    loose = [name for name in spelled if " " in name and _is_made_of(name, known)]
    if loose:
        say(
            f"{said(spelled[loose[0]])} is kept as one finding, though each of its words is a finding too"
            f"{and_more(len(loose) - 1)}"
        )
    say_disguised(f"{path}: {column}", spelled)
    if all(meant[label] == label for label in different):
        return lists
    return [list(dict.fromkeys(meant[label] for label in labels)) for labels in lists]


def _meant(label: str) -> str:
    name = clean_text(label)
    while len(name) > 1 and name[0] + name[-1] in QUOTES and not set(name[1:-1]) & {name[0], name[-1]}:
        name = name[1:-1].strip()
    return HAS_NO_NAME if names_nothing(name) else name


def _wrong(name: str, known: set[str], pipes: bool, like: str) -> str:
    """What is wrong with a label, "" if nothing is."""
    if any(unicodedata.category(character) in ("Cc", "Co", "Cn", "Cs", "Zl", "Zp") for character in name):
        return "holds a character that is not text; write it out"
    if name[0] in OPENING or name[0] in "[{" or (name[-1] in CLOSING and not set(name) & set(OPENING)):
        return "has a quote or bracket on one side; close it, or remove it"
    if MARKUP.search(name):
        return f"holds signs of a web page's markup; write lists like {like}"
    if NUMBER.fullmatch(name):
        return "is a number, not the name of a finding; give the column of names"
    if NUMBER_BEHIND.fullmatch(name):
        return "has a number behind it; give the names of findings alone"
    right = misread(name)
    if right:
        return f"seems to be '{right}', which was read in another encoding; save the table as UTF-8 anew"
    usual = unicodedata.normalize("NFKC", name.translate(OTHER_SEPARATORS)).translate(OTHER_SEPARATORS)
    parts = [name_key(part) in known for part in SEPARATORS.split(usual)]
    several = len(parts) > 1 and (any(parts) or ("," in usual and not pipes))
    if several or re.search(r"[;|\u00a6]", usual) or (_is_joined(usual) and _is_made_of(usual, known)):
        return f"seems to be several labels; write lists like {like}, or rename the finding"
    return in_doubt(name, known) or odd_letters(name)


def _is_joined(name: str) -> bool:
    """Whether two words of a name are joined by a sign or by a word like "and", not just by a space."""
    words = WORD.findall(name.lower())
    return bool(JOINING & set(words[1:-1])) or re.search(r"\w[^\w\s]|[^\w\s]\s*\w|\w_+\w", name) is not None


def _is_made_of(name: str, known: set[str]) -> bool:
    """Whether a name consists of several known names, possibly joined by words like "and"."""
    words = WORD.findall(name)
    if len(words) > MOST_WORDS:
        return False
    # names[k]: the largest number of known names into which the first k words can be split; None if impossible
    names: list[int | None] = [0, *(None for _ in words)]
    for end, last in enumerate(words, start=1):
        found = [names[end - 1]] if last.lower() in JOINING else []
        for start in range(end):
            before = names[start]
            if before is not None and name_key(" ".join(words[start:end])) in known:
                found.append(before + 1)
        names[end] = max((count for count in found if count is not None), default=None)
    return (names[-1] or 0) > 1
