"""The one exception that a user is meant to see: a single line that says what was wrong and what would be right."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from trcgl.runtime.stopping import Stopped, stopping_on_signals

NEAR = 40
"""Characters that are shown beside one that cannot be written."""


class InputError(Exception):
    """Something the user gave (a file, a row, a key, a disk) cannot be used.

    The message is one line: which file, row or key; what was wrong; what would be right.
    """

    def __str__(self) -> str:
        return one_visible_line(super().__str__())


def one_visible_line(text: str) -> str:
    """A message in one line: line breaks become spaces, invisible and control characters are escaped."""
    line = " ".join(text.splitlines())
    if line.isprintable():
        return line
    return "".join(sign if sign.isprintable() or _is_half(sign) else repr(sign)[1:-1] for sign in line)


def _is_half(sign: str) -> bool:
    """Whether a character is a surrogate, for a byte of a file name that is not UTF-8; the output stream encodes it."""
    return "\ud800" <= sign <= "\udfff"


def exit_code(main: Callable[[], None], failed: Callable[[str], None] = lambda line: None) -> int:
    """Run `main` and turn an `InputError` into one line on stderr and exit code 1; anything else is a bug.

    SIGTERM and Ctrl-C also become one line, with the exit code that shells use for them (128 + signal number).

    Args:
        failed: called with that line.
    """

    def say(line: str) -> None:
        print(line, file=sys.stderr)
        failed(line)

    try:
        with stopping_on_signals():
            main()
    except InputError as error:
        say(f"error: {error}")
        return 1
    except OSError as error:
        # The error for a missing or locked file has the file's name; without a name it is a bug
        if error.filename is None and not isinstance(error, FileNotFoundError):
            raise
        name, reason = error.filename or error, error.strerror or "not found"
        made = Path(str(name)).parts[:1] in (("data",), ("metrics",))
        say(f"error: {name}: {reason}" + ("; if a stage makes it, run dvc repro" if made else ""))
        return 1
    except UnicodeEncodeError as error:
        # Mostly of a file's name
        near = one_visible_line(error.object[max(0, error.start - NEAR) : error.end + NEAR])
        if error.encoding.replace("-", "").lower() == "utf8":
            say(f"error: '{near}' holds a byte that is not UTF-8; rename the file, or correct the text")
        else:
            say(f"error: '{near}' cannot be written in this locale ({error.encoding}); set LC_ALL=C.UTF-8")
        return 1
    except Stopped as stop:
        say(f"error: stopped by {stop}; finished outputs are kept, none is half-written; run again to continue")
        return 128 + stop.number
    return 0


def and_more(count: int, verb: str = "are") -> str:
    """Text that follows an example in a message and says how many others there are.

    Args:
        count: number of the others.
        verb: the verb of the sentence before it, in the plural: are, do or have.
    """
    return f" (as {verb} {count} more)" if count else ""


def some_of(names: Sequence[object]) -> str:
    """A list for a message: the first three names, and how many others there are."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(map(str, names[:3])) + more
