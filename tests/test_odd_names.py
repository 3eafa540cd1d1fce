"""Long names, in any script, or like formulas: pictures and tables are made, and what warns has a name."""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.inference_cases import PREPARATION, noise
from tests.test_evaluation_external import save_model
from trcgl.cli import main
from trcgl.graph.cooccurrence import count_cooccurrence
from trcgl.graph.heatmap import draw_heatmap
from trcgl.inference.overlays import _file_names
from trcgl.labels.distribution import label_distribution
from trcgl.runtime import figures
from trcgl.runtime.figures import plt, save_figure

NAMES: tuple[str, ...] = (
    "胸水",
    "निमोनिया",
    "الاسترواح الصدري",
    "$PaO_2$",
    "a $ of \\frac{",
    "two\nlines",
    "x" * 300,
    "é" * 200,
    "a/b",
    "..",
)


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr(figures.log, "warning", lambda text, *values: lines.append(text % values))
    return lines


@pytest.mark.parametrize("drawn", ["distribution", "heatmap"])
def test_figures_are_drawn_and_warnings_name_their_file(tmp_path: Path, said: list[str], drawn: str):
    path = tmp_path / "figure.png"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if drawn == "heatmap":
            draw_heatmap(count_cooccurrence(np.ones((4, len(NAMES))), NAMES, 1.0), path)
        else:
            counts = pd.DataFrame({"label": NAMES, "projection": "PA", "count": range(1, len(NAMES) + 1)})
            save_figure(label_distribution(counts, 20), path)
    with Image.open(path) as image:
        assert image.size[0] > 300
    assert len(said) == 1
    assert said[0].startswith(f"{path}: the font lacks ")
    assert "胸" in said[0]


def test_a_dollar_sign_is_drawn_as_one_and_powers_of_ten_as_powers(tmp_path: Path):
    """Against the same figure with a formula, and with a sign in place of the dollar's."""

    def drawn(name: str, text: str) -> np.ndarray:
        figure, axes = plt.subplots()
        axes.set(xscale="log", xlim=(1, 1000))
        axes.set_title(text)
        save_figure(figure, tmp_path / name, tight=False)
        return np.asarray(Image.open(tmp_path / name).convert("L")).astype(int)

    plain, dollars = drawn("a.png", "x_2"), drawn("b.png", "$x_2$")
    ticks = slice(plain.shape[0] - 55, None)
    np.testing.assert_array_equal(plain[ticks], dollars[ticks])
    # Two more signs: more ink
    assert (255 - dollars).sum() > (255 - plain).sum()


def test_no_two_findings_have_one_file(tmp_path: Path):
    findings = [*NAMES, "x" * 301, "a", "a", "a_11", "A", "", "é" * 201]
    names = _file_names(findings)
    assert len(set(names)) == len(findings)
    assert max(len(name.encode()) for name in names) < 130


def test_overlays_of_long_names_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    save_model(tmp_path / "model", preparation=PREPARATION, class_names=("x" * 300, "胸水" * 60))
    images = ["a.png", "ü" * 120 + ".png", "b" * 251 + ".png"]
    for k, name in enumerate(images):
        Image.fromarray(noise(k)).save(tmp_path / name)
    assert (
        main(["predict", "--model", "model", "--out", "t.csv", "--overlays", "seen", "--likeliest", "2", *images]) == 0
    )
    assert len(list(Path("seen").iterdir())) == 6
    assert set(pd.read_csv("t.csv")["image"]) == set(images)


def test_numbers_stay_at_an_axis_with_a_long_title(tmp_path: Path):
    figure, axes = plt.subplots()
    axes.plot([0.0, 0.1])
    axes.set_xlabel("difference " * 10)
    save_figure(figure, tmp_path / "a.png")
    assert [label.get_text() for label in axes.get_xticklabels() if label.get_text()]
