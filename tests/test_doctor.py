"""`trcgl doctor`: each thing that can be wrong is planted, and has its line."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest
from PIL import Image
from ruamel.yaml import YAML

from tests.labels_files import padchest_row, write_padchest
from tests.shipped import SHIPPED
from tests.test_classifier_model import build
from tests.tiny_base import shared_base
from tests.tiny_project import run, set_params
from trcgl.artifacts.label_vectors import write_label_vectors
from trcgl.cli import main
from trcgl.config import load_params
from trcgl.doctor import images as images_module
from trcgl.doctor.images import build_as_the_stage
from trcgl.images.manifest import scan_images
from trcgl.labels.build import Labels
from trcgl.phantom.population import draw_population
from trcgl.phantom.render import SIZE as RENDERED
from trcgl.runtime.disk import size_text

ROOT = Path(__file__).resolve().parents[1]
SETTINGS: dict[str, Any] = {
    "dataset.name": "padchest",
    "dataset.split_file": None,
    "labels.min_positives": 1,
    "labels.vocabulary": "vocabulary.csv",
    "labels.tail_findings": ["scar"],
    "diffusion.base": "base",
    "audit.detector": None,
    "classifier.head": "trcgl_paper",
    "compute.threads": 1,
    "compute.device": "cpu",
    "compute.precision": "fp32",
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A healthy project with 60 images of a PadChest-shaped set beside it, scanned."""
    folder = tmp_path / "project"
    (folder / ".dvc").mkdir(parents=True)
    run(folder, "git", "init", "-q")
    run(folder, "git", "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-q", "--allow-empty", "-m", "start")
    (folder / "data").mkdir()
    shutil.copytree(shared_base(), folder / "base")
    unet = folder / "base/unet/config.json"
    # It draws images of the size that params.yaml has
    unet.write_text(json.dumps(json.loads(unet.read_text()) | {"sample_size": SHIPPED.images.diffusion_size // 2}))
    monkeypatch.chdir(folder)
    images = tmp_path / "images"
    images.mkdir()
    rows = []
    for k in range(60):
        pixels = np.random.default_rng(k).integers(0, 4096, (40, 30)).astype(np.uint16)
        Image.fromarray(pixels).save(images / f"im{k:04d}.png")
        rows.append(padchest_row(k, str([("nodule", "scar")[k % 2]])))
    write_padchest(tmp_path / "labels.csv", rows)
    for name in ("params.yaml", "dvc.yaml", "data/assets/padchest_vocabulary.csv"):
        shutil.copy(ROOT / name, folder / name.replace("data/assets/padchest_", ""))
    set_params(
        folder / "params.yaml",
        SETTINGS | {"dataset.images": str(images), "dataset.labels": str(tmp_path / "labels.csv")},
    )
    scanned(images)
    return folder


def scanned(images: Path, revision: int = 0) -> None:
    """What scan_images and DVC leave behind."""
    scan_images(images).to_parquet("data/manifest.parquet")
    values = {"dataset.images": str(images), "dataset.revision": revision}
    out = {"path": "data/manifest.parquet", "md5": "0"}
    stage = {"cmd": "python stages/scan_images.py", "params": {"params.yaml": values}, "outs": [out]}
    YAML().dump({"schema": "2.0", "stages": {"scan_images": stage}}, Path("dvc.lock"))


def examined(capsys: pytest.CaptureFixture[str], *, problems: int) -> list[str]:
    """The lines; those of problems first."""
    assert main(["doctor"]) == (1 if problems else 0)
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    found = [line for line in lines if line.startswith("problem  ")]
    assert len(found) == problems, captured.out
    word = "problem" if problems == 1 else "problems"
    assert captured.err == (f"error: params.yaml: {problems} {word}, see above\n" if problems else "")
    return [*found, *(line for line in lines if line not in found)]


def test_a_healthy_project(project: Path, capsys: pytest.CaptureFixture[str]):
    text = "\n".join(examined(capsys, problems=0))
    assert "60 image files under" in text
    assert "as scan_images saw it (names, and sizes of 60)" in text
    assert "labels: 60 images, 2 findings (1 head, 0 medium, 1 tail)" in text
    assert "0 of 60 images of the label table are not in the image folder" in text
    assert "8 of 8 tried can be decoded" in text
    # 60 images and 120 drawn ones: pictures in two sizes of 64 px, and DVC's copy of each
    assert "pictures still need about 2 MB" in text
    assert "device: cpu: cpu; precision fp32: float32" in text
    assert "13 stages, 12 never run" in text


def test_a_generator_without_a_tail_finding_is_said(project: Path, capsys: pytest.CaptureFixture[str]):
    edit(labels__tail_findings=None)(project)
    warned = "warning  labels.tail_findings: no finding is tail, so the generator draws nothing"
    assert any(line.startswith(warned) for line in examined(capsys, problems=0))
    edit(diffusion__base=None)(project)
    assert not any("no finding is tail" in line for line in examined(capsys, problems=0))


def test_a_precision_that_the_device_lacks_stops_no_other_check(project: Path, capsys: pytest.CaptureFixture[str]):
    set_params(Path("params.yaml"), {"compute.precision": "fp16"})
    text = "\n".join(examined(capsys, problems=1))
    assert "problem  device: 'compute.precision' is fp16, which is for CUDA only" in text
    assert "13 stages, 12 never run" in text


def boxes(*rows: str) -> None:
    """A table of boxes for the params file; it lies beside the project."""
    header = "image_id,class_name,rad_id,x_min,y_min,x_max,y_max,width,height\n"
    Path("../boxes.csv").write_text(header + "".join(f"{row}\n" for row in rows))
    set_params(Path("params.yaml"), {"dataset.boxes": str(Path("../boxes.csv").resolve())})


def test_boxes_that_match(project: Path, capsys: pytest.CaptureFixture[str]):
    labels = build_as_the_stage(load_params(), [f"im{k:04d}.png" for k in range(60)])
    assert isinstance(labels, Labels)
    image = labels.labels.groupby("split")["image"].first()
    boxes(f"{image['train']},nodule,R1,90,60,220,330,300,400", "other,nodule,R1,90,60,220,330,300,400")
    text = "\n".join(examined(capsys, problems=0))
    assert "1 of 2 rows of boxes are used; 1 left out: not of a readable image of the data set; 1 of 1 images" in text
    assert "no box is of a training image" not in text
    boxes(f"{image['test']},nodule,R1,90,60,220,330,300,400")
    text = "\n".join(examined(capsys, problems=0))
    assert "warning  dataset.boxes: no box is of a training image" in text


@pytest.mark.parametrize(
    ("row", "seen"),
    [
        ("other,nodule,R1,9,9,20,20,30,40", "no box is of a readable image of the data set"),
        ("im0004,Nodule,R1,9,9,20,20,30,40", "a finding of the data set's classes (scar, nodule), only 'Nodule'"),
        ("im0004,nodule,R1,9,9,50,20,30,40", "goes from 9, 9 to 50, 20, out of the original image of 30 x 40 px"),
        ("im0004,nodule,R1,9,9,,20,30,40", "row 1: the box of 'im0004' is not four numbers"),
    ],
)  # fmt: skip
def test_boxes_that_read_boxes_would_refuse(project: Path, capsys: pytest.CaptureFixture[str], row: str, seen: str):
    boxes(row)
    (line,) = examined(capsys, problems=1)[:1]
    assert line.startswith("problem  dataset.boxes: ")
    assert seen in line
    Path("../boxes.csv").unlink()
    assert "boxes.csv: cannot be read" in examined(capsys, problems=1)[0]


def test_a_run_without_stage_one(project: Path, capsys: pytest.CaptureFixture[str]):
    """Nothing is drawn, so nothing needs space for it."""
    set_params(project / "params.yaml", {"diffusion.base": None})
    text = "\n".join(examined(capsys, problems=0))
    assert "diffusion.base: null: stage one is left out" in text
    assert "pictures still need about 983 kB" in text


def test_the_shipped_params_before_anything_ran(project: Path, capsys: pytest.CaptureFixture[str]):
    """The phantom is not there yet, and that is no problem."""
    shutil.copytree(ROOT / "data" / "assets", "data/assets")
    shutil.copy(ROOT / "params.yaml", "params.yaml")
    set_params(project / "params.yaml", {"compute.threads": 1})
    text = "\n".join(examined(capsys, problems=0))
    assert "the phantom is not drawn yet" in text
    assert "named files and folders exist" in text
    # Tail positives of both other splits and rows to be left out come on top of the numbers in params.yaml
    shipped, size = load_params(), SHIPPED.images.diffusion_size
    films = draw_population(0, shipped.dataset.phantom)
    kept = 2400 + 400 + 700 + sum(film.sampling == "enriched" for film in films)
    assert len(films) > kept + 140
    pictures = 2 * len(films) * RENDERED**2 + kept * (size**2 + SHIPPED.images.classifier_size**2)
    drawn = 6 * (shipped.sampling.images_per_finding or 0) * size**2
    assert f"pictures still need about {size_text(2 * (pictures + drawn))}" in text
    edit(diffusion__base=None)(project)
    assert f"need about {size_text(2 * pictures)}" in "\n".join(examined(capsys, problems=0))
    edit(dataset__phantom__train_tail_positives=[1, 2])(project)
    (line, *_) = examined(capsys, problems=1)
    assert line.startswith("problem  dataset.phantom.train_tail_positives: is [1, 2]; give 6 numbers")


def edit(**values: Any) -> Callable[[Path], None]:
    return lambda project: set_params(project / "params.yaml", {k.replace("__", "."): v for k, v in values.items()})


def remove_image(project: Path) -> None:
    (project.parent / "images" / "im0003.png").unlink()


def add_and_change(project: Path) -> None:
    images = project.parent / "images"
    (images / "new.png").write_bytes((images / "im0000.png").read_bytes())
    (images / "im0001.png").write_bytes((images / "im0001.png").read_bytes() + b" ")


def damage(project: Path) -> None:
    images = project.parent / "images"
    for name in ("im0000.png", "im0059.png"):
        (images / name).write_bytes((images / name).read_bytes()[:-9])
    scanned(images)


def relative(project: Path) -> None:
    edit(dataset__images="../images")(project)
    scanned(Path("../images"))


def rubbish(name: str) -> Callable[[Path], None]:
    def plant(project: Path) -> None:
        (project / name).write_bytes(b"\0<<<<<<< HEAD: [\n")

    return plant


@pytest.mark.parametrize(
    ("plant", "lines"),
    [
        (edit(images__resize="stretch"), ["params: params.yaml: 'images.resize' is 'stretch'"]),
        (edit(dataset__images="nowhere"), ["dataset.images: 'nowhere' is not a folder"]),
        (edit(dataset__images="data"), ["'data' has no image; it has 1 (not an image): manifest.parquet"]),
        (
            edit(dataset__images="nowhere", dataset__labels="nowhere.csv"),
            ["dataset.images: 'nowhere' is not a folder", "dataset.labels: 'nowhere.csv' does not exist"],
        ),
        (edit(dataset__labels="nowhere.csv"), ["dataset.labels: nowhere.csv: cannot be read"]),
        (rubbish("../labels.csv"), ["dataset.labels: "]),
        (edit(labels__min_positives=1000), ["labels.csv: no finding has 1000 positives"]),
        (remove_image, ["manifest: since scan_images 0 images came, 1 went", "images: 1 of 60 images of the label"]),
        (add_and_change, ["manifest: since scan_images 1 images came, 0 went, 1 of 60 tried have another size"]),
        (rubbish("data/manifest.parquet"), ["manifest: data/manifest.parquet: damaged or cut short"]),
        (damage, ["images: 2 of 8 tried cannot be decoded; the first: im0000.png: truncated PNG"]),
        (relative, ["dataset.images: '../images' is relative and leads out of the repository"]),
        (edit(labels__vocabulary="none.csv"), ["labels.vocabulary: 'none.csv' does not exist; give an existing path"]),
        (
            edit(labels__class_table="none.csv"),
            ["labels.class_table: 'none.csv' does not exist", "dataset.labels: none.csv: cannot be read"],
        ),
        (edit(audit__detector="none"), ["audit.detector: 'none' does not exist; give an existing path, or null"]),
        (edit(classifier__initial_weights="w.safetensors"), ["classifier.initial_weights: 'w.safetensors' does not"]),
        (edit(classifier__head="trcgl", classifier__label_vectors="v"), ["classifier.label_vectors: 'v' does not"]),
        (edit(diffusion__base="./none"), ["diffusion.base: './none' does not exist"]),
        (
            edit(diffusion__base="nobody/nothing-at-all", diffusion__base_revision="abc"),
            ["diffusion.base: 'nobody/nothing-at-all' is neither a folder nor in the local cache of the hub; run "
             "`hf download nobody/nothing-at-all --revision abc` first"],
        ),
        (edit(compute__threads=1000), ["compute.threads: 1000, but only "]),
        (edit(compute__device="tpu"), ["device: 'compute.device' is 'tpu', which cannot be used here"]),
        (rubbish("dvc.lock"), ["dvc: dvc.lock"]),
        (lambda project: Path("dvc.yaml").unlink(), ["is not the project's folder"]),
    ],
)  # fmt: skip
def test_each_problem_has_its_line(
    project: Path, capsys: pytest.CaptureFixture[str], plant: Callable[[Path], None], lines: list[str]
):
    plant(project)
    found = examined(capsys, problems=len(lines))
    for line, expected in zip(found[: len(lines)], lines, strict=True):
        assert expected in line


def test_weights_of_timm_that_are_not_cached(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    from trcgl.doctor import paths

    edit(baseline__initial_weights="imagenet", baseline__backbone="resnet18")(project)
    cached: set[str] = set()
    monkeypatch.setattr(paths, "_is_cached", lambda name, revision, file: f"{name}/{file}" in cached)
    (line, *_) = examined(capsys, problems=1)
    assert "baseline.initial_weights: imagenet: 'timm/resnet18.a1_in1k' is not in the local cache" in line
    cached.add("timm/resnet18.a1_in1k/model.safetensors")
    examined(capsys, problems=0)


def test_another_folder_than_the_scanned_one_is_not_drift(project: Path, capsys: pytest.CaptureFixture[str]):
    remove_image(project)
    edit(dataset__revision=1, labels__findings=["nodule", "scar"])(project)
    write_padchest(project.parent / "labels.csv", [padchest_row(k, "['nodule', 'scar']") for k in range(4, 60)])
    assert any("scan_images will run again" in line for line in examined(capsys, problems=0))


def test_a_full_disk(project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """Twice the pictures where DVC copies, once where it links, nothing for those that are there."""
    pictures = 60 * 2 * 64**2 + (load_params().sampling.images_per_finding or 0) * 64**2
    usage = SimpleNamespace(free=2 * pictures - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage)
    (line, *_) = examined(capsys, problems=1)
    assert "disk: 2 MB of pictures are still to come but" in line
    (project / ".dvc" / "config").write_text('[cache]\n    type = "hardlink,copy"\n')
    examined(capsys, problems=0)
    usage.free = pictures - 1
    examined(capsys, problems=1)
    (project / "data" / "images" / "classifier").mkdir(parents=True)
    (project / "data" / "images" / "classifier" / "shard.npy").write_bytes(b"0" * pictures)
    examined(capsys, problems=0)


def test_drawn_images_that_follow_the_real_ones_need_space_too(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=10**9))
    examined(capsys, problems=0)
    edit(sampling__images_per_finding=None, sampling__images_per_real_image=1e5)(project)
    (line, *_) = examined(capsys, problems=1)
    assert "GB of pictures are still to come" in line


def test_another_dvc_at_work(project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    (project / ".dvc" / "tmp").mkdir()
    held = {"data/x": {"read": [{"pid": 11, "cmd": "dvc"}]}, "data/y": {"write": {"pid": 12, "cmd": "dvc"}}}
    (project / ".dvc" / "tmp" / "rwlock").write_text(json.dumps(held))
    monkeypatch.setattr(psutil, "pid_exists", lambda pid: pid == 12)
    (line, *_) = examined(capsys, problems=1)
    assert "another DVC command runs here (process 12)" in line


def test_a_folder_is_listed_once(project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """However many images: one walk, a bounded number of looks at single files, nothing decoded twice."""
    walks: list[str] = []
    plain = os.scandir
    monkeypatch.setattr(os, "scandir", lambda folder: walks.append(str(folder)) or plain(folder))
    monkeypatch.setattr(images_module, "SIZES", 7)
    assert any("sizes of 7" in line for line in examined(capsys, problems=0))
    assert walks.count(str(project.parent / "images")) == 1


def test_missing_images_below_one_in_a_hundred_are_counted_only(tmp_path: Path):
    labels = images_module.Labels(
        selected=pd.DataFrame({"image": [f"{k}" for k in range(199)]}),
        labels=pd.DataFrame(),
        classes={"classes": []},
        rejected=pd.DataFrame({"image": ["a", "b"], "reason": ["image file missing", "duplicate image name"]}),
        metrics={},
    )
    said = list(images_module.check_labels(labels))
    assert not any(one.problem for one in said)
    assert [one.text for one in said if "1 of 200 images of the label table" in one.text]


@pytest.mark.parametrize(("reason", "many"), [("labels missing", True), ("projection not selected", False)])
def test_many_rows_that_cannot_be_used_are_a_warning(reason: str, many: bool):
    """Those that the params file leaves out are none; either way they are counted by reason."""
    labels = images_module.Labels(
        selected=pd.DataFrame({"image": [f"{k}" for k in range(18)]}),
        labels=pd.DataFrame({"image": [f"{k}" for k in range(18)]}),
        classes={"classes": []},
        rejected=pd.DataFrame({"image": [f"r{k}" for k in range(42)], "reason": [reason] * 42}),
        metrics={},
    )
    (said,) = [one for one in images_module.check_labels(labels) if one.about == "rows"]
    assert said.warning == many
    assert f"42 of 60 rows of the label table are left out ({reason}: 42)" in said.text


def test_what_killed_runs_have_left_is_reported(project: Path, capsys: pytest.CaptureFixture[str]):
    assert not any("kept states" in line for line in examined(capsys, problems=0))
    (project / ".resume/train_classifier/0123").mkdir(parents=True)
    (project / ".resume/train_classifier/0123/state-1.pt").write_bytes(b"0" * 3_000_000)
    (line,) = [line for line in examined(capsys, problems=0) if "kept states" in line]
    assert "3 MB in .resume (train_classifier); delete what need not be continued" in line


def test_links_out_of_the_folder_are_followed(project: Path, capsys: pytest.CaptureFixture[str]):
    """As DVC's cache.type symlink makes them."""
    images = project.parent / "images"
    images.rename(project.parent / "elsewhere")
    images.mkdir()
    for file in (project.parent / "elsewhere").iterdir():
        (images / file.name).symlink_to(file)
    assert any("8 of 8 tried can be decoded" in line for line in examined(capsys, problems=0))


def test_a_dangling_link_stops_no_other_check(project: Path, capsys: pytest.CaptureFixture[str]):
    """One that scan_images saw, and one whose target went later."""
    images = project.parent / "images"
    (images / "im0060.png").symlink_to("nothing.png")
    scanned(images)
    assert any("as scan_images saw it (names, and sizes of 61)" in line for line in examined(capsys, problems=0))
    (images / "im0004.png").unlink()
    (images / "im0004.png").symlink_to("nothing.png")
    (line, *rest) = examined(capsys, problems=1)
    assert "manifest: since scan_images 0 images came, 0 went, 1 of 61 tried have another size" in line
    assert any("13 stages, 12 never run" in line for line in rest)


@pytest.mark.parametrize("readable", [True, False])
def test_a_file_that_cannot_be_opened_has_not_changed(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, readable: bool
):
    manifest = pd.read_parquet("data/manifest.parquet")
    manifest.loc[4, "bytes"] = 0
    manifest.to_parquet("data/manifest.parquet")
    asked = os.access
    closed = "" if readable else "im0004.png"
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != closed and asked(path, mode))
    examined(capsys, problems=int(readable))


@pytest.fixture
def snapshot(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The base of the project as the hub's cache holds it, under the id somebody/tiny."""
    place = project.parent / "hub/models--somebody--tiny"
    snapshot = Path(shutil.copytree("base", place / "snapshots" / ("0" * 40)))
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text("0" * 40)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(place.parent))
    edit(diffusion__base="somebody/tiny")(project)
    return snapshot


def test_a_base_in_the_cache_of_the_hub_is_looked_into(
    project: Path, snapshot: Path, capsys: pytest.CaptureFixture[str]
):
    examined(capsys, problems=0)
    edit(images__diffusion_size=48)(project)
    side = SHIPPED.images.diffusion_size
    (line, *_) = examined(capsys, problems=1)
    assert line == f"problem  images.diffusion_size: is 48, but 'somebody/tiny' draws {side} px; set it to {side}"
    for file in (snapshot / "unet").glob("*.safetensors"):
        file.unlink()
    (line, *_) = examined(capsys, problems=1)
    assert line.startswith("problem  diffusion.base: ")
    assert line.endswith("has no diffusion_pytorch_model.safetensors; run `hf download somebody/tiny` first")
    index = snapshot / "model_index.json"
    index.write_text(index.read_text().replace("StableDiffusionPipeline", "StableDiffusionXLPipeline"))
    (line, *_) = examined(capsys, problems=1)
    assert line.endswith("holds a StableDiffusionXLPipeline; a StableDiffusionPipeline is needed")


def said_by_doctor(capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["doctor"]) == 1
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"images.diffusion_size": 48}, "images.diffusion_size: is 48, but 'base' draws "),
        ({"diffusion.base_revision": "0a1b2c3"}, "diffusion.base_revision: '0a1b2c3' is for a hub id, but "),
        ({"diffusion.lora_layers": ["heads"]}, "diffusion.lora_layers: has 'heads'; use one or more of: "),
        ({"diffusion.prompt_template": "a film"}, "diffusion.prompt_template: no field '{findings}'"),
        ({"classifier.head": "trcgl", "classifier.label_vectors": "vectors.safetensors"}, "no vector for 'nodule'"),
        ({"labels.vocabulary": "phrases.csv"}, "phrases.csv: row 1: label 'nodule' has no phrase"),
        ({"audit.detector": "detector"}, "audit.detector: 'detector' knows none of the findings"),
        ({"baseline.initial_weights": "~/w.safetensors"}, "'~/w.safetensors' does not exist: ~ is expanded by a shell"),
    ],
)  # fmt: skip
def test_what_a_run_would_stop_at_hours_later(
    project: Path, capsys: pytest.CaptureFixture[str], settings: dict[str, Any], line: str
):
    write_label_vectors("vectors.safetensors", "test", ["scar"], np.ones((1, 4)))
    Path("phrases.csv").write_text("label,phrase\nnodule,\n")
    build().save("detector")
    for file in Path("detector").glob("*.json"):
        file.write_text(file.read_text().replace("nodule", "rib fracture"))
    set_params(project / "params.yaml", settings)
    assert line in said_by_doctor(capsys)


def test_doctor_starts_without_the_generators_libraries():
    code = "import sys, trcgl.cli, trcgl.doctor.run; assert not {'torch', 'diffusers', 'peft'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True, cwd="src")
