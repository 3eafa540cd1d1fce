"""Lists of image names beside a label table: which images of the table they name."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from trcgl.labels.cells import say
from trcgl.labels.file_names import base_name, stem_of
from trcgl.runtime.errors import InputError
from trcgl.runtime.letters import clean_text
from trcgl.tables import read_text

HEADERS = ("image index", "image", "images", "image_id", "imageid", "file", "filename", "name")
QUOTES = "'\"`\u2018\u2019\u201c\u201d"


@dataclass(frozen=True)
class Matched:
    """The result of matching a list of names with the images of a table.

    Attributes:
        named: bool per image, whether the list names it.
        names: the number of different names in the list.
        strangers: the names that no image has, in the order of the list.
    """

    named: np.ndarray
    names: int
    strangers: list[str]

    def __str__(self) -> str:
        more = f" and {len(self.strangers) - 1} more" if len(self.strangers) > 1 else ""
        lacks = f" (it lacks '{self.strangers[0]}'{more})" if self.strangers else ""
        return f"the label table has {self.names - len(self.strangers)} of its {self.names} names{lacks}"


def read_names(path: Path) -> list[str]:
    """The names in a text file, without quotes; spaces, commas or semicolons may separate several names in a line.

    Raises:
        InputError: see `read_text`; or the file holds no name.
    """
    lines = [clean_text(line) for line in read_text(path).splitlines()]
    lines = [line for line in lines if line]
    if lines and lines[0].strip(f"{QUOTES},;").lower() in HEADERS:
        lines = lines[1:]
    names = [name.strip(QUOTES) for line in lines for name in re.split(r"[\s,;]+", line)]
    names = [name for name in names if name]
    if not names:
        raise InputError(f"{path}: names no image; give a name per line, or remove the file")
    return names


def match_names(path: Path, names: Sequence[str], images: pd.Series) -> Matched:
    """Which images a list names.

    A name is compared as it is, then without folder, then without suffix if that is unique among the images. A log line
    says for how many names folder or suffix were ignored.
    """
    different = list(dict.fromkeys(names))
    place = {name: row for row, name in enumerate(images)}
    stems = images.map(stem_of)
    unique = ~stems.duplicated(keep=False)
    by_stem = dict(zip(stems[unique], np.flatnonzero(unique), strict=True))
    named, strangers, adapted = np.zeros(len(images), bool), [], []
    for name in different:
        row = place.get(name)
        if row is None:
            row = place.get(base_name(name), by_stem.get(stem_of(name)))
            (strangers if row is None else adapted).append(name)
        if row is not None:
            named[row] = True
    if adapted:
        say(
            f"{path}: names matched without their folder or suffix: {len(adapted)} of {len(different)}; the first: "
            f"'{adapted[0]}'"
        )
    # A table may list an image in several rows
    return Matched(images.isin(images[named]).to_numpy(bool), len(different), strangers)


def find_list(folder: Path, *names: str) -> Path | None:
    """The file of a list in a folder, under the first of its names that is there; None if there is none.

    Raises:
        InputError: there is no file of these names, but one with a similar name.
    """
    found = next((folder / name for name in names if (folder / name).exists()), None)
    if found is not None:
        return found
    # Words or numbers before and behind, as in `official_test_list2.txt`; `latest_list.txt` is none, nor is what macOS
    # hides beside a file
    stem = re.sub("_", "[-_ ]?", re.escape(Path(names[0]).stem))
    wanted = re.compile(rf"(?!\.)(?:.*[\W\d_])?{stem}s?(?![^\W\d_]).*", re.IGNORECASE)
    near = sorted(other.name for other in folder.iterdir() if wanted.fullmatch(other.name) and not other.is_dir())
    if near:
        raise InputError(f"{folder / near[0]}: seems to be the official {names[0]}; rename it, or move it elsewhere")
    return None


def shape_of(name: str) -> str:
    """The name without suffix and with 0 for each digit. The names of one data set have few such shapes."""
    return re.sub(r"\d", "0", stem_of(name))
