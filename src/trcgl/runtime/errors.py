"""The one exception a user is meant to see: a single line that names what was wrong and what would be right."""

import sys
from collections.abc import Callable


class InputError(Exception):
    """Something the user gave (a file, a row, a key) cannot be used.

    The message is one line: which file, row or key; what was wrong; what would be right.
    """


def exit_code(main: Callable[[], None]) -> int:
    """Run `main` and turn an `InputError` into one line on stderr and exit code 1; anything else is a bug."""
    try:
        main()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0
