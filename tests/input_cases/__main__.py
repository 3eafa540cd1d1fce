"""Renew the table in docs/input-errors.md."""

import sys

from tests.import_graph import ROOT
from tests.input_cases.table import table
from trcgl.runtime.files import replace_between

if sys.argv[1:] != ["--write"]:
    sys.exit("usage: python -m tests.input_cases --write")
replace_between(ROOT / "docs/input-errors.md", "cases", table())
