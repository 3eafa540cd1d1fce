"""Ages in whole years, from the forms in which label tables write them."""

import re

import numpy as np
import pandas as pd

from trcgl.labels.cells import cleaned, say, without_missing
from trcgl.runtime.errors import and_more

OLDEST = 120
UNITS_PER_YEAR = {"y": 1, "m": 12, "w": 52, "d": 365}
"""The units of DICOM's age string (PS3.5, value representation AS): 058Y, 011M, 003W, 010D."""
AGE = re.compile(
    r"(?P<over>> ?)?(?P<number>[0-9]{1,4})(?P<fraction>[.,][0-9]+)?"
    r"(?: ?(?P<unit>y|yrs?|years?|m|mo|months?|w|weeks?|d|days?))?(?: ?\+)?",
    re.IGNORECASE,
)


def years(text: str) -> float:
    """Whole years; not a number if the text is no age, or one outside 0 to 120.

    `90+` and `>89`, which de-identified tables write for all older patients, are read as 90.
    """
    found = AGE.fullmatch(text)
    if found is None or (found["fraction"] and found["unit"]):
        return np.nan
    age = int(found["number"]) // UNITS_PER_YEAR[(found["unit"] or "y")[0].lower()] + bool(found["over"])
    return age if age <= OLDEST else np.nan


def ages(texts: pd.Series) -> pd.Series:
    """Int64, missing where `years` finds no age; each different text is read once."""
    places, different = pd.factorize(texts.fillna(""))
    found = np.array([years(text) for text in different], np.float64)
    return pd.Series(found[places], texts.index).astype("Int64")


def stated_ages(source: object, column: str, texts: pd.Series) -> pd.Series:
    """The ages of a user's own table; a log line counts the texts that are none, which count as unknown."""
    texts = without_missing(cleaned(texts, f"{source}: {column}"))
    found = ages(texts)
    wrong = np.flatnonzero(found.isna() & (texts != ""))
    if len(wrong):
        say(
            f"{source}: row {wrong[0] + 1}: {column} '{texts.iloc[wrong[0]]}'{and_more(len(wrong) - 1)} is not an age, "
            f"and counts as unknown; write years from 0 to {OLDEST}, or an age as DICOM writes it (058Y, 011M)"
        )
    return found
