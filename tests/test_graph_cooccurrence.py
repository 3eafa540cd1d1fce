"""Counts and conditional probabilities of findings."""

import json
import shutil
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from tests.import_graph import ROOT
from tests.stage_scripts import script
from trcgl.graph import heatmap
from trcgl.graph.cooccurrence import Cooccurrence, _pairs, count_cooccurrence
from trcgl.graph.heatmap import draw_heatmap
from trcgl.runtime.errors import InputError

NAMES = ("effusion", "nodule", "mass")
TARGETS = np.array(
    [
        [1, 1, 0],
        [1, 0, np.nan],
        [1, 1, 1],
        [0, 1, np.nan],
        [np.nan, 1, 0],
    ]
)


def test_counts_are_pairs_of_positives():
    found = count_cooccurrence(TARGETS, NAMES, 0.0)
    assert found.counts.tolist() == [[3, 2, 1], [2, 4, 1], [1, 1, 1]]
    assert found.counts.dtype == np.int64
    assert found.conditional == pytest.approx(np.array([[1, 2 / 3, 1 / 2], [2 / 3, 1, 1 / 3], [1, 1, 1]]))


def test_images_are_those_that_could_have_shown_both():
    found = count_cooccurrence(TARGETS, NAMES, 0.0)
    # The last row does not know the first finding, the second and the fourth not the third
    assert found.images.tolist() == [[4, 4, 2], [4, 5, 3], [2, 3, 3]]


def test_counts_do_not_depend_on_how_many_rows_are_counted_at_a_time():
    targets = np.random.default_rng(0).choice([1.0, 0.0, np.nan], (1000, 7))
    present = (targets == 1).astype(np.int64)
    assert (count_cooccurrence(targets, tuple("abcdefg"), 0.0).counts == present.T @ present).all()
    known = (~np.isnan(targets)).astype(np.int64)
    assert (_pairs(targets == 1, ~np.isnan(targets), 13) == present.T @ known).all()


def test_row_is_the_condition_and_smoothing_enters_the_divisor():
    found = count_cooccurrence(TARGETS, NAMES, 1.0)
    assert found.conditional[0, 1] == 2 / 4
    # Of the four images with the second finding, one does not know the first
    assert found.conditional[1, 0] == 2 / 4


def test_a_finding_never_seen_has_no_probabilities():
    found = count_cooccurrence(np.array([[1.0, 0.0], [0.0, np.nan]]), ("a", "b"), 0.0)
    assert found.conditional.tolist() == [[1, 0], [0, 0]]


def test_saved_bytes_depend_on_the_content_alone(tmp_path: Path):
    found = count_cooccurrence(TARGETS, NAMES, 1.0)
    found.save(tmp_path / "a.npz")
    found.save(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with ZipFile(tmp_path / "a.npz") as archive:
        assert {member.date_time for member in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    again = Cooccurrence.load(tmp_path / "a.npz")
    assert again.names == NAMES
    assert (again.counts == found.counts).all()
    assert (again.images == found.images).all()
    assert (again.conditional == found.conditional).all()


def test_order_is_by_name():
    found = count_cooccurrence(TARGETS, NAMES, 1.0)
    turned = found.for_names(("mass", "effusion"))
    assert turned.names == ("mass", "effusion")
    assert turned.conditional[0, 1] == found.conditional[2, 0]
    assert turned.counts.tolist() == [[1, 1], [1, 3]]
    assert turned.images.tolist() == [[3, 2], [2, 4]]
    assert (turned.given == found.given[np.ix_([2, 0], [2, 0])]).all()
    with pytest.raises(InputError, match="lack 'azygos lobe'; run dvc repro build_cooccurrence"):
        found.for_names(("azygos lobe",))


def test_unreadable_file_is_one_line(tmp_path: Path):
    (tmp_path / "x.npz").write_bytes(b"no archive")
    with pytest.raises(InputError, match=r"x\.npz: damaged or cut short \(not a whole \.npz"):
        Cooccurrence.load(tmp_path / "x.npz")
    found = count_cooccurrence(TARGETS, NAMES, 1.0)
    Cooccurrence(NAMES[:2], found.counts, found.images, found.given, found.conditional).save(tmp_path / "x.npz")
    with pytest.raises(InputError, match=r"x\.npz: damaged .*do not match the 2 findings"):
        Cooccurrence.load(tmp_path / "x.npz")


def test_the_picture_is_the_same_every_time(tmp_path: Path):
    found = count_cooccurrence(TARGETS, NAMES, 1.0)
    for name in ("a.png", "b.png"):
        draw_heatmap(found, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_the_picture_shows_the_shares_of_the_findings_with_the_closest_partners(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Of 45 findings the five with at most four images in common with another are left out, even if these are all.

    The order and the blank diagonal stay.
    """
    drawn: list[Figure] = []
    monkeypatch.setattr(heatmap, "save_figure", lambda figure, *_, **__: drawn.append(figure))
    targets = np.zeros((450, 45))
    targets[np.arange(450), np.arange(450) % 45] = 1
    alone = [0, 7, 8, 20, 44]
    for name in sorted(set(range(45)) - set(alone)):
        targets[(np.arange(450) % 45 == name) & (np.arange(450) < 45 * (5 + name % 5)), 1] = 1
    targets[:, 44] *= np.arange(450) < 4 * 45
    targets[targets[:, 44] == 1, 20] = 1
    names = tuple(f"f{number}" for number in range(45))
    found = count_cooccurrence(targets, names, 1.0)
    draw_heatmap(found, tmp_path / "x.png")
    axes = drawn[0].axes[0]
    kept = [number for number in range(45) if number not in alone]
    assert [label.get_text() for label in axes.get_xticklabels()] == [names[number] for number in kept]
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        f"{names[number]} ({found.counts[number, number]})" for number in kept
    ]
    shares = np.asarray(axes.images[0].get_array(), float)
    wanted = found.conditional[np.ix_(kept, kept)]
    assert np.isnan(np.diag(shares)).all()
    off = ~np.eye(40, dtype=bool)
    assert (shares[off] == wanted[off]).all()
    assert "40 of 45 findings" in axes.get_title(loc="left")
    assert not axes.texts


def test_the_numbers_in_the_picture_are_those_of_its_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A pair that no image shows has none."""
    drawn: list[Figure] = []
    monkeypatch.setattr(heatmap, "save_figure", lambda figure, *_, **__: drawn.append(figure))
    found = count_cooccurrence(TARGETS[:2], NAMES, 1.0)
    draw_heatmap(found, tmp_path / "x.png")
    pairs = [(i, j) for i, j in np.ndindex(found.counts.shape) if i != j and found.counts[i, j]]
    assert 0 < len(pairs) < len(NAMES) * (len(NAMES) - 1)
    assert {text.get_position(): text.get_text() for text in drawn[0].axes[0].texts} == {
        (j, i): f"{found.conditional[i, j]:.2f}" for i, j in pairs
    }


def test_the_stage_counts_training_images_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "data/labels").mkdir(parents=True)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    labels = pd.DataFrame({"split": ["train", "train", "val", "test"], "a": [1] * 4, "b": [1, 0, 1, 1]})
    labels.astype({"a": "Int8", "b": "Int8"}).to_parquet("data/labels/labels.parquet")
    classes = [{"name": name, "group": "head"} for name in "ab"]
    Path("data/labels/classes.json").write_text(json.dumps({"classes": classes}))
    script("build_cooccurrence").main()
    assert Cooccurrence.load("data/graph/cooccurrence.npz").counts.tolist() == [[2, 1], [1, 1]]
