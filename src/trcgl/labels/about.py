"""Bring a row's view and sex, which define the subgroups of the results, into one spelling."""

import numpy as np
import pandas as pd

from trcgl.labels.cells import cleaned, first_twins, say, without_missing
from trcgl.runtime.errors import InputError

SEXES = {
    "M": ("m", "male", "man", "h", "masculino", "hombre", "var\u00f3n", "varon", "masculin", "homme", "m\u00e4nnlich",
          "mann", "maschio"),
    "F": ("f", "female", "woman", "femenino", "mujer", "f\u00e9minin", "femme", "w", "weiblich", "frau", "femmina"),
}  # fmt: skip
"""What the project calls them: the words for each, in small letters. Any other text stays as it is."""
SEX_OF = {word: sex for sex, words in SEXES.items() for word in words}


def in_one_way(source: object, column: str, texts: pd.Series) -> pd.Series:
    """The texts, with missing values as '' and known words for a sex as M or F.

    A log line says which texts were changed, and names two texts that differ only in spelling.

    Args:
        source: the label table, for messages.
        column: projection or sex.

    Raises:
        InputError: a sex H or V stands beside M, so that M may mean male or, in Spanish, mujer (female).
    """
    texts = without_missing(cleaned(texts, column))
    if column == "sex":
        texts = _sexes(source, texts)
    twins = first_twins(filter(None, texts.unique().tolist()))
    if twins:
        one, other = (int(np.argmax(texts == text)) + 1 for text in twins)
        say(
            f"{column}: '{twins[1]}' of row {other} is '{twins[0]}' of row {one} in another spelling, and counts as "
            "another value; write them in one way"
        )
    return texts


def _sexes(source: object, texts: pd.Series) -> pd.Series:
    different = texts.unique().tolist()
    small = {text.casefold() for text in different}
    # Spanish: hombre or varón (male), mujer (female)
    other = next((letter for letter in "hv" if letter in small), None)
    if other and "m" in small:
        row = int(np.argmax(texts.str.casefold() == other)) + 1
        raise InputError(
            f"{source}: row {row}: sex is '{texts.iloc[row - 1]}', so 'M' may be male or mujer; write M for male and F "
            "for female"
        )
    usual = {text: sex for text in different if (sex := SEX_OF.get(text.casefold(), text)) != text}
    if not usual:
        return texts
    row = int(np.argmax(texts.isin(list(usual)))) + 1
    text = texts.iloc[row - 1]
    say(f"sex: '{text}' of row {row} is read as {usual[text]}; in all, {len(usual)} different words are read as M or F")
    return texts.replace(usual)
