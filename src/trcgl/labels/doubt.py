"""Names that also say whether a finding is present ("no edema"): they would count as a second finding beside it."""

import re
import unicodedata
from collections.abc import Collection

from trcgl.labels.cells import name_key

WORD = re.compile(r"[^\W_]+")
RULE_OUT = re.compile(r"\br/o\b", re.IGNORECASE)
SAYING = frozenset([
    "no", "not", "non", "without", "absent", "absence", "negative", "neg", "excluded", "ro", "ruled", "rule",
    "possible", "possibly", "probable", "probably", "likely", "unlikely", "suspected", "suspicious", "suspicion",
    "questionable", "query", "doubtful", "doubt", "uncertain", "unsure", "equivocal", "maybe", "yes", "present",
    "presence", "positive", "pos", "definite", "definitely", "confirmed", "certain", "denies", "denied",
    "sin", "ausencia", "ausente", "posible", "dudoso", "dudosa", "sospecha",
    "pas", "sans", "absente",
    "kein", "keine", "ohne", "fraglich", "fragliche", "m\u00f6glich", "m\u00f6gliche", "verdacht",
])  # fmt: skip
"""Whether, or how surely, a finding is there (in English, Spanish, French, German); before its name or behind it."""
BESIDE = SAYING | frozenset(["of", "for", "out", "evidence", "sign", "signs", "de", "d", "auf"])
"""With the words between such a word and the name."""
LOST = "?\u00bf\ufffd"
"""A doubt, or what a program writes for a letter that it does not have."""


def in_doubt(name: str, known: Collection[str], *, column: bool = False) -> str:
    """What is wrong with a name that expresses absence or doubt; "" if it does not.

    Args:
        known: keys (`name_key`) of all names of the table.
        column: True for the name of a column per finding; False for a name in a list of findings.
    """
    if any(sign in unicodedata.normalize("NFKC", name) for sign in LOST):
        return "has a question mark, for a doubt or a lost letter; write the finding's name alone"
    words = WORD.findall(RULE_OUT.sub("ro", name))
    named = [place for place, word in enumerate(words) if word.lower() not in BESIDE]
    if not named:
        return ""
    finding = words[named[0] : named[-1] + 1]
    around = words[: named[0]] + words[named[-1] + 1 :]
    if name_key(" ".join(finding)) in known and any(word.lower() in SAYING for word in around):
        meant = " ".join(finding)
        remedy = (
            f"merge it into the column '{meant}' (1, 0, or -1 for a doubt)"
            if column
            else "list only findings that are present, each by its plain name (absent ones are left out)"
        )
        return f"would be a second finding beside '{meant}'; {remedy}"
    return ""
