"""What must never be in two splits, and what must never be read: planted, and caught."""

import io
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.import_graph import ROOT
from trcgl.artifacts.shards import ShardedImages, ShardWriter
from trcgl.classifier.training.leakage import stop_if_leaking
from trcgl.classifier.training.near_copies import ALIKE, near_copies, thumbnails
from trcgl.runtime.errors import InputError

SIZE = 64


def chest(seed: int) -> np.ndarray:
    """Two dark lungs at everybody's place, with shades of its own."""
    random = np.random.default_rng(seed)
    shades = Image.fromarray(random.normal(0, 40, (12, 12)).astype(np.float32)).resize(
        (SIZE, SIZE), Image.Resampling.BICUBIC
    )
    y, x = np.mgrid[:SIZE, :SIZE] / SIZE - 0.5
    lungs = -90 * np.exp(-(((abs(x) - 0.2) / 0.1) ** 2) - (y / 0.3) ** 2)
    return (160 + lungs + np.asarray(shades) + random.normal(0, 4, (SIZE, SIZE))).clip(0, 255).astype(np.uint8)


def another_export(pixels: np.ndarray) -> np.ndarray:
    """Scaled there and back, compressed, of other brightness and contrast."""
    handle = io.BytesIO()
    Image.fromarray(pixels).resize((56, 56)).resize((SIZE, SIZE)).save(handle, "JPEG", quality=75)
    return (np.asarray(Image.open(handle)) * 0.8 + 20).astype(np.uint8)


def data_set(folder: Path, images: dict[str, np.ndarray], patients: list[str], splits: list[str]) -> None:
    writer = ShardWriter(folder, SIZE, 5)
    for name, pixels in images.items():
        writer.add(name, pixels)
    writer.close()
    frame = pd.DataFrame({"image": list(images), "patient": patients, "split": splits})
    frame.to_parquet(folder / "labels.parquet")


@pytest.fixture
def images() -> dict[str, np.ndarray]:
    return {f"{k}.png": chest(k) for k in range(12)}


SPLITS = ["train"] * 6 + ["val"] * 3 + ["test"] * 3
PATIENTS = [f"p{k}" for k in range(12)]


def test_a_sound_set_passes(tmp_path: Path, images: dict[str, np.ndarray]):
    images["1.png"] = another_export(images["0.png"])  # both are in training: no leak
    data_set(tmp_path, images, PATIENTS, SPLITS)
    stop_if_leaking(tmp_path / "labels.parquet", tmp_path)


def test_a_patient_in_two_splits_is_caught(tmp_path: Path, images: dict[str, np.ndarray]):
    data_set(tmp_path, images, [*PATIENTS[:-1], "p2"], SPLITS)
    with pytest.raises(InputError, match=r"patient 'p2' is in several splits"):
        stop_if_leaking(tmp_path / "labels.parquet", tmp_path)


@pytest.mark.parametrize(("copy", "of"), [("7.png", "2.png"), ("11.png", "0.png"), ("10.png", "6.png")])
def test_a_near_copy_in_another_split_is_caught(tmp_path: Path, images: dict[str, np.ndarray], copy: str, of: str):
    images[copy] = another_export(images[of])
    data_set(tmp_path, images, PATIENTS, SPLITS)
    with pytest.raises(InputError, match=rf"\d images? ha.* a near copy in another split \(.*({copy}|{of}) and"):
        stop_if_leaking(tmp_path / "labels.parquet", tmp_path)


def test_copies_are_found_across_blocks(tmp_path: Path, images: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("trcgl.classifier.training.near_copies.BLOCK", 4)
    monkeypatch.setattr("trcgl.classifier.training.near_copies.PAIRS", 2)
    images["11.png"] = another_export(images["0.png"])
    images["6.png"] = images["5.png"]
    data_set(tmp_path, images, PATIENTS, SPLITS)
    found = near_copies(ShardedImages(tmp_path), list(images), np.array(SPLITS))
    assert found == [("6.png", "5.png"), ("11.png", "0.png")]


def test_near_copies_are_those_of_a_comparison_with_all(tmp_path: Path):
    """Copies from equal to just not alike, of several images each, among pictures of their own."""
    random = np.random.default_rng(0)
    pictures = [chest(seed) for seed in range(500)]
    for seed in range(500, 900):
        noise = random.normal(0, random.uniform(0, 30), (SIZE, SIZE))
        pictures.append((pictures[seed % 90] + noise).clip(0, 255).astype(np.uint8))
    names = [f"{k}.png" for k in range(len(pictures))]
    splits = random.choice(["train", "val", "test"], len(names), p=[0.6, 0.2, 0.2])
    data_set(tmp_path, dict(zip(names, pictures, strict=True)), names, splits.tolist())
    fine = thumbnails(np.stack(pictures)).astype(np.float64)
    alike = np.where(splits[:, None] == splits, -1.0, fine @ fine.T)
    asked = [i for i in range(len(names)) if splits[i] != "train" and alike[i].max() >= ALIKE]
    assert 50 < len(asked) < 200
    assert (abs(alike[splits != "train"].max(axis=1) - ALIKE) < 0.004).sum() > 5
    found = dict(near_copies(ShardedImages(tmp_path), names, splits))
    assert found == {names[i]: names[int(alike[i].argmax())] for i in asked}


def test_blank_pages_are_no_copies_and_a_page_shown_often_is_one(tmp_path: Path):
    """A thousand pairs of equal pictures are one comparison."""
    blank, page = np.full((SIZE, SIZE), 9, np.uint8), chest(0)
    pictures = {f"{kind}{k}.png": pixels for kind, pixels in (("b", blank), ("p", page)) for k in range(90)}
    splits = [("train", "val", "test")[k % 3] for k in range(180)]
    data_set(tmp_path, pictures, list(pictures), splits)
    found = near_copies(ShardedImages(tmp_path), list(pictures), np.array(splits))
    expected = {f"p{k}.png": "p0.png" for k in range(90) if k % 3}
    assert dict(found) == expected


# What could run code from a file, or from the network
FORBIDDEN = {
    r"\bpickle\.|\bimport pickle|cloudpickle|joblib|dill": "unpickling runs code",
    r"allow_pickle\s*=\s*True": "unpickling runs code",
    r"weights_only\s*=\s*False": "unpickling runs code",
    r"torch\.load\((?![^)]*weights_only=True)": "without weights_only=True it depends on the version",
    r"trust_remote_code\s*=\s*True": "code from the hub",
    r"torch\.hub|hub\.load": "code from the hub",
    r"\beval\(\s*[^)\s]|\bexec\(": "code from text",
    r"yaml\.(unsafe_load|full_load|load)\(|typ=\"unsafe\"": "objects from YAML",
    r"shell\s*=\s*True|os\.system": "text becomes a command",
    r"read_pickle|to_pickle": "unpickling runs code",
}


@pytest.mark.parametrize("pattern", FORBIDDEN)
def test_nothing_read_can_run_code(pattern: str):
    files = [path for folder in ("src", "stages", "studies") for path in (ROOT / folder).rglob("*.py")]
    assert len(files) > 100
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in files
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if re.search(pattern, line)
    ]
    assert not found, f"{FORBIDDEN[pattern]}: {found}"


def test_numpy_files_are_read_without_pickle():
    """`allow_pickle` is off by default, and said all the same: the default has changed once."""
    found = [
        f"{path}: {line.strip()}"
        for path in (ROOT / "src").rglob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if "np.load(" in line
    ]
    assert found
    # The words are searched for, not used: a call without them is the fault
    assert not [line for line in found if "allow_pickle=False" not in line]
