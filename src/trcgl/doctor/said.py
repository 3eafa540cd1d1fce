"""The result of a check."""

from dataclasses import dataclass

from trcgl.runtime.errors import one_visible_line


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
