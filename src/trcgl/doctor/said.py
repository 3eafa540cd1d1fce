"""What a check has to say."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Said:
    """One line about one thing.

    Attributes:
        about: what was looked at, in a word or two.
        text: what was found; of a problem also what would be right.
        problem: a run would stop there, or do something else than the user means.
    """

    about: str
    text: str
    problem: bool = False

    def __str__(self) -> str:
        return f"{'problem' if self.problem else 'ok':<9}{self.about}: {self.text}"


def problem(about: str, text: object) -> Said:
    return Said(about, str(text), problem=True)
