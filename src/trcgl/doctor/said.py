"""The result of a check."""

import re
from dataclasses import dataclass

from trcgl.runtime.errors import InputError, one_visible_line

KEYED = re.compile(r"'([a-z_.]+)'(?:: | (?=has|is))(.*)")


@dataclass(frozen=True)
class Said:
    """One line about one thing.

    Attributes:
        about: what was checked, in a word or two.
        text: what was found; for a problem also what would be right.
        problem: a run would stop there, or do something other than the user intends.
        warning: some runs would.
    """

    about: str
    text: str
    problem: bool = False
    warning: bool = False

    def __str__(self) -> str:
        word = "problem" if self.problem else "warning" if self.warning else "ok"
        return one_visible_line(f"{word:<9}{self.about}: {self.text}")


def problem(about: str, text: object) -> Said:
    return Said(about, str(text), problem=True)


def warning(about: str, text: object) -> Said:
    return Said(about, str(text), warning=True)


def refused(about: str, error: InputError) -> Said:
    """A problem with the line of a stage; if that begins with a key of the params file, this is what it is about."""
    found = KEYED.fullmatch(str(error))
    return problem(about, error) if found is None else problem(*found.groups())
