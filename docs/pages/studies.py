"""The studies' notebook, plans and overview become pages, too. They lie beside docs/, where MkDocs does not look."""

import re
from pathlib import Path
from posixpath import dirname, join, normpath, relpath
from typing import Any

from mkdocs.structure.files import File, InclusionLevel

PROJECT = Path(__file__).parents[2]
# [text](../studies/notebook.md#heading): the target, and the heading or nothing
LINK = re.compile(r"\]\((?P<target>[^)\s:#]+\.md)(?P<anchor>#[^)\s]*)?\)")


def on_files(files: Any, config: Any) -> None:
    """Called by MkDocs with the files of the site."""
    for path in sorted((PROJECT / "studies").glob("**/*.md")):
        page = File.generated(config, path.relative_to(PROJECT).as_posix(), abs_src_path=str(path))
        page.inclusion = InclusionLevel.NOT_IN_NAV
        files.append(page)


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Called by MkDocs with every page's text: links between docs/ and studies/ lead to their places in the site."""
    here = page.file.src_uri
    folder = dirname(here if here.startswith("studies/") else join("docs", here))

    def in_site(found: re.Match[str]) -> str:
        target = normpath(join(folder, found["target"])).removeprefix("docs/")
        return f"]({relpath(target, dirname(here) or '.')}{found['anchor'] or ''})"

    return LINK.sub(in_site, markdown)
