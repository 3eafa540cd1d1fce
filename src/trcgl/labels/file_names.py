"""Names of image files without folder, without suffix, or in one form of letters."""

import re
import unicodedata

import pandas as pd

from trcgl.runtime.errors import InputError
from trcgl.runtime.picture_suffixes import FORMATS, PACKED, SUFFIXES

_ONE_OF, _PACKED = ("|".join(map(re.escape, names)) for names in ((*SUFFIXES, ".img"), PACKED))
SUFFIX = re.compile(rf"(?:{_ONE_OF})(?:{_PACKED})?$", re.IGNORECASE)
"""Also .img, which says nothing of the format: such a file is an image by its content."""
SAME_FORMAT = {name: usual for usual, names in FORMATS.items() for name in names}


def base_name(name: str) -> str:
    """The name without folders, for paths of any operating system."""
    return re.split(r"[/\\]", name)[-1]


def stem_of(name: str) -> str:
    """The name without folders and image suffix, in small letters and one Unicode form."""
    return folded(SUFFIX.sub("", base_name(name)))


def folded(name: str) -> str:
    """The name in small letters and one Unicode form."""
    # Small letters of composed characters may be decomposed
    return name.lower() if name.isascii() else composed(composed(name).casefold())


def composed(name: str) -> str:
    """The name in the composed Unicode form, in which a letter and its accent are one character."""
    return unicodedata.normalize("NFC", name)


def format_of(name: str) -> str:
    """The format that a suffix states, such as jpg for .JPEG; '' if there is no suffix."""
    found = SUFFIX.search(name)
    suffix = found[0][1:].lower() if found else ""
    return SAME_FORMAT.get(suffix, suffix)


def check_apart(table: object, column: str, files: pd.Series, names: pd.Series) -> None:
    """Stop if two files of a table would get the same name.

    Args:
        files: the file of each row, as the table states it.
        names: the project's name for it.

    Raises:
        InputError: two files would get the same name; the message gives the rows of the first two.
    """
    if names is files or files.equals(names):
        return
    pairs = pd.DataFrame({"file": files, "name": names}).drop_duplicates()
    twins = pairs[pairs["name"].duplicated(keep=False) & (pairs["name"] != "")]
    if len(twins):
        (one, first), (other, second) = list(twins[twins["name"] == twins["name"].iloc[0]]["file"].items())[:2]
        raise InputError(
            f"{table}: {column} '{first}' of row {one + 1} and '{second}' of row {other + 1} would both be called "
            f"'{twins['name'].iloc[0]}'; rename one, in the table and in its folder"
        )
