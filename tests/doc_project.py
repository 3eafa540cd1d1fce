"""A finished project in which the documentation's commands run: tiny data sets and models, stand-in stages."""

import gzip
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer
from PIL import Image
from ruamel.yaml import YAML

from tests import dataset_layouts, diffusion_cases
from tests.doc_pages import films
from tests.import_graph import ROOT
from tests.inference_cases import PREPARATION, mixed_folder, noise
from tests.test_evaluation_external import save_model
from tests.tiny_project import commit, copy_project, run, stand_in_stages
from trcgl.diffusion.generator.rows import training_rows
from trcgl.images.manifest import scan_images

# Of the classifier, which is untrained: the first is a finding of NIH's and CheXpert's tables, the second of PadChest's
FINDINGS = ("Cardiomegaly", "nodule")


def make_project(folder: Path) -> Path:
    """`folder/data` stands for the documentation's /data, `folder/project` is the project, run and committed."""
    data = folder / "data"
    write_data_sets(data)
    mine = {"name": "folder", "images": f"{data}/mine/images", "labels": f"{data}/mine/labels.csv", "split_file": None}
    splits = {"split_seed": 1, "validation_fraction": 0.25, "test_fraction": 0.25}
    values = {f"dataset.{k}": v for k, v in mine.items()} | {f"labels.{k}": v for k, v in splits.items()}
    # As presets/folder.yaml: the shipped vectors do not know these findings
    project = copy_project(folder / "project", values | {"classifier.label_vectors": None})
    for name in ("Makefile", "requirements.txt", "requirements-dev.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, project / name)
    for preset in (project / "presets").rglob("*.yaml"):
        shrink(preset)
    stand_in_stages(project)
    write_stand_ins(project / "stand_in", folder, data)
    write_scans(project)
    (project / "tests").mkdir()
    (project / "tests/test_nothing.py").write_text("def test_nothing():\n    pass\n")
    link_environment(project / ".venv")
    run(project, "dvc", "repro", "--quiet")
    commit(project, "run")
    run(folder, "git", "init", "--quiet", "--bare", "--initial-branch", "main", str(data / "trcgl.git"))
    run(project, "git", "remote", "add", "origin", f"file://{data}/trcgl.git")
    return project


def shrink(preset: Path) -> None:
    """What this machine lacks, weights of others and cores, set to what it has; few enough positives for 24 images."""
    here = {
        "images": {"classifier_size": 32, "diffusion_size": 32},
        "diffusion": {"base": None}, "labels": {"min_positives": 1}, "compute": {"threads": 1, "compile": False},
        "baseline": {"initial_weights": None}, "classifier": {"initial_weights": None},
    }  # fmt: skip
    yaml = YAML()
    values = yaml.load(preset)
    for section, changes in here.items():
        values.get(section, {}).update({key: value for key, value in changes.items() if key in values.get(section, {})})
    yaml.dump(values, preset)


def write_data_sets(data: Path) -> None:
    """Tiny copies of the data sets, in the places that docs/datasets names."""
    places = {
        "padchest": "padchest", "nih": "nih", "cxrlt": "cxrlt", "chexpert": "CheXpert-v1.0",
        "mimic": "cxr-lt/1.1.0", "vindr": "vindr-cxr/1.0.0", "folder": "mine",
    }  # fmt: skip
    for name, place in places.items():
        (data / place).mkdir(parents=True)
        dataset_layouts.LAYOUTS[name](data / place)
    moves = {
        "cxrlt/package": "cxrlt2026", "cxr-lt/1.1.0/files": "mimic-cxr-jpg/2.1.0/files",
        "mine/pictures": "mine/images", "mine/mine.csv": "mine/labels.csv",
    }  # fmt: skip
    moves |= {f"nih/images_{part:03d}": f"nih/images/images_{part:03d}" for part in (1, 2, 3)}
    for old, new in moves.items():
        (data / new).parent.mkdir(parents=True, exist_ok=True)
        (data / old).rename(data / new)
    # The image that a row of the copy misses; the challenge's images are PadChest's
    dataset_layouts.write_picture(data / "padchest/images/1/im0091.png", 91, bits=16)
    shutil.copytree(data / "cxrlt/images", data / "padchest/images", dirs_exist_ok=True)
    box = "00000000_000.png,Cardiomegaly,300,400,500,500\n"
    (data / "nih/BBox_List_2017.csv").write_text("Image Index,Finding Label,Bbox [x,y,w,h],,,\n" + box)
    table = (data / "padchest/labels.csv").read_bytes()
    (data / "padchest/PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv.gz").write_bytes(gzip.compress(table))
    shutil.copy(data / "CheXpert-v1.0/train.csv", data / "CheXpert-v1.0/valid.csv")


def write_stand_ins(folder: Path, work: Path, data: Path) -> None:
    """What the stand-ins of the stages write: this repository's metrics, an untrained classifier, a tiny generator."""
    shutil.copytree(ROOT / "metrics", folder / "metrics", ignore=shutil.ignore_patterns("plots", "*.md", ".gitignore"))
    for name in ("baseline", "classifier"):
        save_model(folder / "data/models" / name, preparation=PREPARATION, class_names=FINDINGS)
    (work / "pixels").mkdir()
    images = diffusion_cases.write_images(work / "pixels")
    rows = training_rows(diffusion_cases.label_table(), diffusion_cases.CLASSES, list(images.index["image"]))
    diffusion_cases.run(folder / "data/models/diffusion", rows, images)
    scan_images(data / "mine/images").to_parquet(folder / "data/manifest.parquet")
    (folder / "data/phantom/images").mkdir(parents=True)
    for film in films():
        Image.fromarray(noise(0)).save(folder / "data/phantom/images" / film)


def write_scans(project: Path) -> None:
    """Readable images under the names that the pages use."""
    scans = project / "scans"
    mixed_folder(scans)
    for name in ("empty.png", "text.jpg"):
        (scans / "deep" / name).unlink()
    (project / "more").mkdir()
    shutil.copy(scans / "b16.png", project / "more/two.png")
    shutil.copy(scans / "a8.PNG", project / "a.png")
    for name in ("one.dcm", "b.dcm"):
        shutil.copy(scans / "deep/d.dcm", project / name)


def link_environment(folder: Path) -> None:
    """The environment of the tests as the project's own, marked as installed so that `make` has nothing to do."""
    (folder / "bin").mkdir(parents=True)
    here = Path(sys.prefix)
    for source in [*here.iterdir(), *(here / "bin").iterdir()]:
        if source.name not in ("bin", ".installed", ".installed-dev"):
            (folder / source.relative_to(here)).symlink_to(source)
    for name in (".installed", ".installed-dev"):
        (folder / "bin" / name).touch()


@contextmanager
def s3_server() -> Iterator[str]:
    """A server on this machine that speaks S3, with the bucket of the pages; yields its address.

    Programs find keys for it in the environment.
    """
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    address = "http://{}:{}".format(*server.get_host_and_port())
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        try:
            boto3.client("s3", endpoint_url=address).create_bucket(Bucket="trcgl")
            yield address
        finally:
            server.stop()


def run_block(project: Path, language: str, text: str, server: str) -> subprocess.CompletedProcess[str]:
    """Run a block in the project; a shell prints each command before running it and stops at the first failure.

    `server` stands for the pages' http://s3.example.org.
    """
    folder = project.parent
    script = folder / "block"
    text = text.replace("http://s3.example.org", server)
    script.write_text(re.sub(r"(?<![\w.])/data/", f"{folder}/data/", text))
    program = ["bash", "-exo", "pipefail"] if language == "sh" else [sys.executable]
    env = {key: value for key, value in os.environ.items() if not key.startswith(("DVC_", "GIT_"))}
    env |= {
        "PATH": f"{project}/.venv/bin{os.pathsep}{env['PATH']}",
        "PYTHONPATH": str(project / "src"),
        # Even if `make` installs something, it must not reach the environment of the tests
        "PIP_DRY_RUN": "1",
    }
    return subprocess.run(
        [*program, str(script)], cwd=project, env=env, capture_output=True, text=True, timeout=600, check=False
    )
