"""Explain why the path of a missing file is not a valid path on this machine as it is written."""

import re
from pathlib import Path

KINDS = (
    (re.compile(r"~"), "~ is expanded by a shell only; write the whole path"),
    (re.compile(r".*\$"), "variables are expanded by a shell only; write the whole path"),
    (re.compile(r"[A-Za-z][\w+.-]+:/"), "an address is not fetched; download it"),
    (re.compile(r"[A-Za-z]:|.*\\"), "a path of Windows; write it as this machine does"),
    (re.compile(r"\s|.*\s$"), "it begins or ends with a space; leave that out"),
)


def why_missing(path: str | Path) -> str:
    """What is unusual about the path of a missing file, as ": ..." for the end of a clause; "" if nothing is."""
    text = str(path)
    return next((f": {said}" for pattern, said in KINDS if pattern.match(text)), "")
