"""Placeholder ids such as -1 and 999: they would turn all patients without an id into one patient."""

import re

import numpy as np
import pandas as pd

from trcgl.labels.cells import say
from trcgl.tables import names_nothing

PLACEHOLDER = re.compile(
    r"0+|9{2,}|123(?:4(?:5(?:6(?:7(?:8(?:90?)?)?)?)?)?)?|true|false|x+|y|n|yes|no|test\w*|dummy|default|deleted|removed|redacted|withheld"
    r"|pending|tbd|todo|temp|new|other|none\W.*|no[ _-]?(?:id|name|patient)|patient|subject|unassigned|not \w+",
    re.IGNORECASE,
)
"""What people and programs write for an id that they do not have; many of these may also be ids."""
FEWEST, CROWD = 4, 50
"""Rows of an id below which nothing is said: of a placeholder, and of any other."""
MORE, MANY_MORE = 3, 10
"""How many times the rows of nearly all other ids."""
NEGATIVES = 5
"""More negative numbers than this are ids."""


def say_crowded(path: object, column: str, ids: pd.Series) -> None:
    """Log a line if an id has so many rows that it is hardly one patient.

    This means: a typical placeholder with MORE times the rows of 95 % of the ids; any id with MANY_MORE times the rows
    of 99 % of the ids; or one of at most NEGATIVES negative numbers that have two or more rows.
    """
    places, different = pd.factorize(ids)
    # Access to single elements of Arrow's arrays is slow
    names = different.tolist()
    counts = np.bincount(places, minlength=len(names))
    usual, most = np.quantile(counts, (0.95, 0.99), method="lower")
    negative = [place for place, name in enumerate(names) if name[:1] == "-" and counts[place] > 1]
    many = np.flatnonzero(counts >= max(FEWEST, MORE * usual)).tolist()
    found = [place for place in many if PLACEHOLDER.fullmatch(names[place])]
    found += negative if len(negative) <= NEGATIVES else []
    found += np.flatnonzero(counts >= max(CROWD, MANY_MORE * most)).tolist()
    found = sorted({place for place in found if not names_nothing(names[place])}, key=lambda place: -counts[place])
    if found and len(names) > 1:
        first, row = found[0], int(np.argmax(places == found[0])) + 1
        more = f" ({len(found) - 1} more ids are like it)" if len(found) > 1 else ""
        say(
            f"{path}: row {row}: {column} '{names[first]}' has {counts[first]} of {len(ids)} rows{more}, which count "
            "as one; if it means that there is no id, leave these cells blank"
        )
