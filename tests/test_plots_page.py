"""The frame that `make plots` gives DVC: filled in by DVC itself, it asks the network for nothing."""

from html.parser import HTMLParser
from pathlib import Path

import pytest
from dvc_render import ImageRenderer, VegaRenderer, render_html

from trcgl.report import plots_page
from trcgl.runtime.errors import InputError


class Wanted(HTMLParser):
    """What a browser would fetch for a page, and the text of its scripts."""

    def __init__(self, page: str):
        super().__init__()
        self.fetched: list[str] = []
        self.scripts: list[str] = []
        self.inside = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.fetched += [value or "" for key, value in attrs if key in ("src", "href", "data")]
        self.inside = tag == "script"

    def handle_endtag(self, tag: str) -> None:
        self.inside = self.inside and tag != "script"

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.scripts.append(data)


def test_the_page_that_dvc_fills_in_fetches_its_pictures_only(tmp_path: Path):
    frame = tmp_path / "frame.html"
    frame.write_text(plots_page.plots_page(), encoding="utf-8")
    curve = VegaRenderer([{"epoch": 1, "loss": 2.0, "rev": "workspace"}], "loss", x="epoch", y="loss")
    picture = ImageRenderer([{"src": "static/bars.png", "filename": "bars.png", "rev": "workspace"}], "bars")
    page = Path(render_html([curve, picture], tmp_path / "index.html", str(frame))).read_text(encoding="utf-8")
    wanted = Wanted(page)
    assert wanted.fetched == ["static/bars.png"]
    assert sum("vegaEmbed('#" in script for script in wanted.scripts) == 1
    assert any("window.vegaEmbed=" in script for script in wanted.scripts)
    assert not any(placeholder in page for placeholder in plots_page.PLACEHOLDERS)


def test_a_bundle_that_dvc_would_damage_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(plots_page.vl_convert, "javascript_bundle", lambda: "f`{plot_divs}`")
    with pytest.raises(InputError, match=r"contains \{plot_divs\}; install the pinned release"):
        plots_page.plots_page()
