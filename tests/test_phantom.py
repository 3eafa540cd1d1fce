"""The phantom data set: the same bytes from the same params, the real table's shape and dirt, exact tail counts."""

import ast
from collections import Counter
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from tests.shipped import SHIPPED
from trcgl.phantom import FINDINGS, View, dataset, make_phantom, render
from trcgl.phantom.catalogue import HEAD, MEDIUM, TAIL, TAIL_NAMES
from trcgl.phantom.population import SPOILED, Image, draw_population, joint_table
from trcgl.phantom.render import SIZE
from trcgl.phantom.table import COLUMNS, label_table, shares, split_table, written_findings
from trcgl.runtime.errors import InputError

DEFAULT = SHIPPED.dataset.phantom
TINY = replace(
    SHIPPED.dataset,
    phantom=replace(
        DEFAULT,
        train_images=40,
        validation_images=20,
        test_images=20,
        validation_tail_positives=1,
        test_tail_positives=1,
    ),
)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantom") / "one"
    make_phantom(TINY, folder, workers=1)
    return folder


@pytest.fixture(scope="module")
def population() -> list[Image]:
    return draw_population(0, DEFAULT)


@pytest.fixture(scope="module")
def table(population: list[Image]) -> pd.DataFrame:
    return label_table(population, 256)


def test_two_workers_write_the_same_bytes_as_one(tiny: Path, tmp_path: Path) -> None:
    make_phantom(TINY, tmp_path / "two", workers=2)
    assert contents(tmp_path / "two") == contents(tiny)


def test_another_seed_is_another_hospital() -> None:
    view = View(0, "patient", "image", "PA", female=True, age=50, findings=("nodule",), hospital=DEFAULT.hospital)
    first, _ = render(view)
    again, _ = render(view)
    other, _ = render(replace(view, seed=1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    ours = {image.view.patient for image in draw_population(0, TINY.phantom)}
    assert ours.isdisjoint(image.view.patient for image in draw_population(1, TINY.phantom))


def test_another_data_set_leaves_only_a_note(tmp_path: Path) -> None:
    make_phantom(replace(TINY, name="nih"), tmp_path / "phantom", workers=1)
    assert [path.name for path in (tmp_path / "phantom").iterdir()] == ["unused.txt"]


def test_images_are_16_bit_and_12_of_them_count(tiny: Path) -> None:
    table = pd.read_csv(tiny / "labels.csv", dtype=str)
    read = [cv2.imread(str(tiny / "images" / name), cv2.IMREAD_UNCHANGED) for name in table["ImageID"][:20]]
    films = [film for film in read if film is not None]
    assert len(films) >= 10
    for film in films:
        assert film.dtype == np.uint16
        assert film.shape == (256, 256)
        assert film.max() > 20_000
        assert not np.bitwise_and(film, 15).any()


def test_some_files_cannot_be_read_and_one_is_missing(tiny: Path) -> None:
    table = pd.read_csv(tiny / "labels.csv", dtype=str)
    there = {path.name for path in (tiny / "images").iterdir()}
    assert len(set(table["ImageID"]) - there) == 1
    assert there <= set(table["ImageID"])
    broken = [name for name in there if (tiny / "images" / name).stat().st_size < 20]
    assert len(broken) == 2
    heads = [(tiny / "images" / name).read_bytes()[:8] for name in broken]
    assert sorted(len(head) for head in heads) == [0, 8]


def test_masks_lie_inside_the_image_and_name_a_shown_finding(tiny: Path) -> None:
    table = pd.read_csv(tiny / "labels.csv", dtype=str)
    labels = dict(zip(table["ImageID"].tolist(), table["Labels"].tolist(), strict=True))
    lesions = pd.read_parquet(tiny / "lesions.parquet")
    assert set(TAIL_NAMES) <= set(lesions["finding"])
    for image, finding, png in lesions[["image", "finding", "mask"]].to_numpy().tolist():
        mask = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
        assert mask is not None
        assert mask.shape == (256, 256)
        assert set(np.unique(mask)) == {0, 255}
        assert finding in [label.strip() for label in ast.literal_eval(labels[image])]


@pytest.mark.parametrize("finding", [finding.name for finding in FINDINGS])
def test_every_finding_changes_the_film_and_shows_its_place(finding: str) -> None:
    has_place = next(f.has_place for f in FINDINGS if f.name == finding)
    for k in range(3):
        view = View(3, f"p{k}", f"i{k}", "PA", female=False, age=60, findings=(finding,), hospital=DEFAULT.hospital)
        film, masks = render(view)
        plain, none = render(replace(view, findings=()))
        assert none == {}
        assert (film != plain).any()
        assert (finding in masks) == has_place
        assert all(mask.any() and not mask.all() for mask in masks.values())


def test_the_table_has_the_real_columns_in_their_order(tiny: Path) -> None:
    table = pd.read_csv(tiny / "labels.csv", dtype=str)
    assert list(table.columns) == ["Unnamed: 0", *COLUMNS[1:]]
    assert len(table.columns) == 36
    assert table["ImageID"].is_unique


def test_sex_and_birth_are_those_of_the_patient_who_was_drawn(population: list[Image], table: pd.DataFrame) -> None:
    assert table["PatientSex_DICOM"].tolist() == ["F" if image.view.female else "M" for image in population]
    age = table["StudyDate_DICOM"].str[:4].astype(int) - table["PatientBirth"].astype(float)
    assert age.tolist() == [int(image.view.age) for image in population]


def test_the_dirt_of_the_real_table_is_there(table: pd.DataFrame) -> None:
    raw = [ast.literal_eval(text) for text in table["Labels"] if text]
    stripped = [[label.strip() for label in labels] for labels in raw]
    assert (table["Labels"] == "").any()
    assert any(label != label.strip() for labels in raw for label in labels)
    assert any("" in labels for labels in raw)
    assert any(len(set(labels)) < len(labels) for labels in stripped)
    assert any("normal" in labels and set(labels) & {f.name for f in FINDINGS} for labels in stripped)
    for word in ("unchanged", "exclude", "suboptimal study", "normal"):
        assert any(word in labels for labels in stripped), word
    assert set(table["PhotometricInterpretation_DICOM"]) == {"MONOCHROME1", "MONOCHROME2"}
    assert set(table["Projection"]) == {"PA", "AP", "AP_horizontal", "L"}
    assert table["PatientID"].str.len().max() == 39
    assert table["PatientID"].str.fullmatch(r"\d+").all()
    assert table["ImageID"].str.contains("-2_").any()
    assert table["MethodLabel"].nunique() == 2


def test_training_shares_fall_in_their_groups(population: list[Image]) -> None:
    training = [image for image in population if image.split == "train"]
    found = shares(training)
    for finding in FINDINGS:
        share = found[finding.name]
        group = HEAD if share > 0.10 else TAIL if share < 0.01 else MEDIUM
        assert group == finding.group, (finding.name, share)
    for name in TAIL_NAMES:
        assert 8 <= sum(name in image.view.findings for image in training) <= 25, name
    usable = [image for image in training if image.spoiled is None]
    assert len(usable) == DEFAULT.train_images
    assert 1.3 <= len(usable) / len({image.view.patient for image in usable}) <= 1.7


def test_common_pairs_follow_the_real_counts() -> None:
    states, table = joint_table()
    both = table[states[:, 1] & states[:, 2]].sum()
    assert both / (table[states[:, 1]].sum() * table[states[:, 2]].sum()) == pytest.approx(4.11, rel=0.05)


def test_validation_and_test_hold_enough_of_every_tail_finding(population: list[Image]) -> None:
    counts = Counter((image.split, image.sampling, name) for image in population for name in image.view.findings)
    for name in TAIL_NAMES:
        assert counts["val", "enriched", name] == DEFAULT.validation_tail_positives
        assert counts["test", "enriched", name] == DEFAULT.test_tail_positives
        assert counts["train", "enriched", name] == 0
    natural = Counter((image.split, image.sampling) for image in population)
    assert natural["val", "natural"] == DEFAULT.validation_images
    assert natural["test", "natural"] == DEFAULT.test_images


def test_no_patient_is_in_two_splits(population: list[Image]) -> None:
    table = split_table(population)
    assert list(table.columns) == ["patient", "split", "sampling"]
    assert table["patient"].is_unique
    assert set(table["patient"]) == {image.view.patient for image in population}


def test_spoiled_rows_come_on_top_and_show_no_tail_finding(population: list[Image]) -> None:
    spoiled = [image for image in population if image.spoiled]
    assert {image.spoiled for image in spoiled} == set(SPOILED)
    assert not any(set(image.view.findings) & set(TAIL_NAMES) for image in spoiled)


def film_of(hospital: dict[str, float], findings: tuple[str, ...] = (), patient: str = "p") -> np.ndarray:
    other = replace(DEFAULT.hospital, **hospital)
    view = View(5, patient, f"i{patient}", "PA", female=True, age=60, findings=findings, hospital=other)
    return render(view)[0].astype(float)


def roughness(film: np.ndarray) -> float:
    """Mean difference of neighbours: noise and edges."""
    return float(np.abs(np.diff(film)).mean())


def test_another_hospitals_detector() -> None:
    bare = {"collimated": 0.0, "marked": 0.0}
    plain, still = film_of(bare), film_of(bare | {"noise": 0.0})
    assert film_of(bare | {"brightness": 0.3}).mean() < 0.95 * plain.mean()
    assert film_of(bare | {"contrast": 1.5}).std() > 1.1 * plain.std()
    assert roughness(film_of(bare | {"noise": 3.0})) > 1.5 * roughness(plain)
    assert roughness(still) < roughness(plain)
    assert roughness(film_of(bare | {"noise": 0.0, "blur": 3.0})) < 0.9 * roughness(still)


def test_another_hospitals_markers_and_collimator() -> None:
    bare = {"collimated": 0.0, "marked": 0.0}
    for knob in bare:
        for k in range(3):
            always = film_of({**bare, knob: 1.0}, patient=str(k))
            assert 0.0002 < (always != film_of(bare, patient=str(k))).mean() < 0.2


def test_another_hospitals_lesions_are_more_obvious() -> None:
    def change(severity: float) -> float:
        """How far a lesion moves the film, over patients."""
        pairs = [
            film_of({"severity": severity}, ("pulmonary mass",), str(k)) - film_of({"severity": severity}, (), str(k))
            for k in range(12)
        ]
        return float(np.mean([np.abs(pair).mean() for pair in pairs]))

    assert change(4.0) > 1.1 * change(1.0) > 1.2 * change(0.25)


def test_another_hospitals_views() -> None:
    hospital = replace(DEFAULT.hospital, upright_ap=0.3, supine_ap=0.5)
    images = draw_population(0, replace(DEFAULT, hospital=hospital))
    views = Counter(image.view.projection for image in images if image.sampling == "natural" and not image.spoiled)
    share = {name: count / views.total() for name, count in views.items()}
    # Patients with tubes are examined in bed more often still
    assert share["AP"] == pytest.approx(0.3, abs=0.05)
    assert share["AP_horizontal"] == pytest.approx(0.52, abs=0.05)


def test_another_hospitals_labels(population: list[Image]) -> None:
    hospital = replace(DEFAULT.hospital, labels_missed=0.15, labels_false=0.5)
    noisy = [replace(image, view=replace(image.view, hospital=hospital)) for image in population]
    shown = sum(len(image.view.findings) for image in noisy)
    kept = sum(len(set(written_findings(image)) & set(image.view.findings)) for image in noisy)
    false = sum(len(set(written_findings(image)) - set(image.view.findings)) for image in noisy)
    assert kept / shown == pytest.approx(0.85, abs=0.02)
    # False labels of a finding are as rare as it is in PadChest
    expected = sum(
        0.5 * finding.share * sum(finding.name not in image.view.findings for image in noisy) for finding in FINDINGS
    )
    assert false == pytest.approx(expected, abs=3 * expected**0.5)
    assert [written_findings(image) for image in population] == [image.view.findings for image in population]
    cells = label_table(noisy[:300], 256)["Labels"]
    for image, cell in zip(noisy, cells, strict=False):
        if image.spoiled is None:
            named = {label.strip() for label in ast.literal_eval(cell)} & {finding.name for finding in FINDINGS}
            assert named == set(written_findings(image))


def test_numbers_of_tail_images_can_be_chosen() -> None:
    wanted = (50, 0, 9, 7, 5, 1)
    images = draw_population(0, replace(DEFAULT, train_images=600, train_tail_positives=wanted))
    training = [image.view.findings for image in images if image.split == "train" and image.spoiled is None]
    assert len(training) == 600
    assert tuple(sum(name in findings for findings in training) for name in TAIL_NAMES) == wanted


@pytest.mark.parametrize("given", [(1, 2, 3), (1, 1, 1, 1, 1, -1), (2400, 1, 1, 1, 1, 1)])
def test_numbers_of_tail_images_that_do_not_fit(given: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"train_tail_positives.*give 6 numbers of images, at least 0, .*dextrocardia"):
        draw_population(0, replace(DEFAULT, train_tail_positives=given))


@pytest.mark.parametrize(
    "finding", ["nodule", "pulmonary mass", "azygos lobe", "pneumothorax", "pneumoperitoneo", "pacemaker"]
)
def test_a_mask_lies_where_the_film_changes(finding: str) -> None:
    for k in range(3):
        view = View(3, f"p{k}", f"i{k}", "PA", female=False, age=60, findings=(finding,), hospital=DEFAULT.hospital)
        (film, masks), (plain, _) = render(view), render(replace(view, findings=()))
        change = np.abs(film.astype(float) - plain)
        assert change[masks[finding]].mean() > 4 * change[~masks[finding]].mean()


def test_two_films_of_a_patient_show_the_same_nodule() -> None:
    centres: dict[tuple[str, str], np.ndarray] = {}
    for patient in ("p0", "p1", "p2", "p3"):
        for image in ("a", "b"):
            view = View(3, patient, image, "PA", female=False, age=60, findings=("nodule",), hospital=DEFAULT.hospital)
            centres[patient, image] = np.argwhere(render(view)[1]["nodule"]).mean(axis=0)
        assert np.linalg.norm(centres[patient, "a"] - centres[patient, "b"]) < 25
    assert np.linalg.norm(centres["p0", "a"] - centres["p1", "a"]) > 25


def test_the_table_says_which_films_are_stored_inverted(
    population: list[Image], table: pd.DataFrame, tmp_path: Path
) -> None:
    stated = dict(zip(table["ImageID"], table["PhotometricInterpretation_DICOM"], strict=True))
    films = [film for film in population if film.spoiled is None]
    turned = [film for film in films if stated[film.view.image] == "MONOCHROME1"]
    assert 0.003 < len(turned) / len(films) < 0.03
    for film in (next(film for film in films if film not in turned), turned[0]):
        dataset._write_image(film, tmp_path, SIZE)
        stored, (drawn, _) = cv2.imread(str(tmp_path / film.view.image), cv2.IMREAD_UNCHANGED), render(film.view)
        np.testing.assert_array_equal(stored, (4095 << 4) - drawn if film is turned[0] else drawn)


def test_the_seed_of_the_params_is_that_of_the_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "_write_images", lambda *_: [])
    make_phantom(replace(TINY, seed=7), tmp_path / "phantom")
    listed = pd.read_csv(tmp_path / "phantom/labels.csv", dtype=str)["ImageID"].tolist()
    assert listed == [image.view.image for image in draw_population(7, TINY.phantom)]
