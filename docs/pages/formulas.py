"""Formulas become MathML while the pages are built: browsers draw it themselves, without a script or a network.

The pages get a font for it, because few systems have one with the measures that formulas need (where a subscript goes):
STIX Two Math (SIL Open Font License), which the package ziamath carries.
"""

import re
from html import unescape
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File

# What pymdownx.arithmatex leaves of $...$ and $$...$$
FORMULA = re.compile(r'<(?P<tag>span|div) class="arithmatex">(?P<text>.*?)</(?P=tag)>', re.DOTALL)
FONT = "fonts/STIXTwoMath-Regular.ttf"


def on_files(files: Any, config: Any) -> None:
    """Called by MkDocs with the files of the site."""
    package = find_spec("ziamath")
    assert package is not None, "requirements-docs.txt has ziamath"
    font = Path(str(package.origin)).parent / FONT
    files.append(File.generated(config, "pages/formulas.ttf", abs_src_path=str(font)))


def on_page_content(html: str, page: Any, **_: Any) -> str:
    """Called by MkDocs with every page's HTML."""

    def mathml(found: re.Match[str]) -> str:
        # Less the delimiters \( \) or \[ \]
        formula = unescape(found["text"]).strip()[2:-2].strip()
        drawn = convert(formula, display="block" if found["tag"] == "div" else "inline")
        if "\\" in drawn:
            raise PluginError(f"{page.file.src_uri}: a command is not known in the formula {formula}")
        return drawn

    return FORMULA.sub(mathml, html)
