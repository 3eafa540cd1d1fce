"""A new knob is a line in params.yaml and a field in config.py: presets, studies and tests follow by themselves."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.import_graph import PACKAGE, ROOT, STUDIES

LOADS = """
from pathlib import Path
from study.arms import load_study
from study.parameters import load_pipeline
from tests.classifier_cases import classifier_params
from trcgl import config
from trcgl.runtime.settings import read_yaml
from trcgl.setup.init import Setup, write_params
from trcgl.setup.presets import SCALES, overlay_files

loaded = []
for dataset in config.DATASETS:
    for scale in SCALES:
        loaded.append(config.load_params(overlays=overlay_files(dataset, scale)))
for scale in SCALES:
    write_params(Setup("nih", "/images", "/labels.csv", scale), force=True)
    loaded.append(config.load_params())
    Path("params.yaml").write_text(Path("shipped.yaml").read_text())
for file in sorted(Path("studies").rglob("params.yaml")):
    if "arms" in read_yaml(file):
        study = load_study(file.parent)
        loaded += [study.arm_params(arm, 0) for arm, entry in study.arms.items() if entry.same_as is None]
    else:
        loaded.append(load_pipeline(file.parent).params())
assert all(params.classifier.example == 0.5 for params in loaded)
assert classifier_params().example == 0.5
print(len(loaded))
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The project's code and parameters; params.yaml and config.py are copies to write to."""
    source = tmp_path / "src/trcgl"
    source.mkdir(parents=True)
    for entry in PACKAGE.iterdir():
        if entry.name != "config.py":
            (source / entry.name).symlink_to(entry)
    shutil.copy(PACKAGE / "config.py", source)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    (tmp_path / "presets").symlink_to(ROOT / "presets")
    for file in [*STUDIES.rglob("*.yaml"), *STUDIES.rglob("*.py")]:
        if not {"runs", "data", "rooms", ".dvc"} & set(file.relative_to(STUDIES).parts):
            target = tmp_path / file.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target)
    shutil.copytree(ROOT / "tests", tmp_path / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    # Studies that wait for the user's paths
    for xrays in (tmp_path / "studies/real_xrays").rglob("params.yaml"):
        text = xrays.read_text().replace("images: null", "images: /images").replace("labels: null", "labels: /l")
        xrays.write_text(text)
    return tmp_path


def test_params_yaml_and_config_are_all_that_a_new_knob_touches(project: Path):
    params, config = project / "params.yaml", project / "src/trcgl/config.py"
    lines = params.read_text().splitlines(keepends=True)
    (place,) = (number for number, line in enumerate(lines) if line.startswith("classifier:  "))
    lines.insert(place + 1, "  example: 0.5  # of a new knob\n")
    params.write_text("".join(lines))
    lines = config.read_text().splitlines(keepends=True)
    (section,) = (
        node
        for node in ast.parse("".join(lines)).body
        if isinstance(node, ast.ClassDef) and node.name == "ClassifierParams"
    )
    first = next(node for node in section.body if isinstance(node, ast.AnnAssign))
    lines.insert(first.lineno - 1, "    example: float = knob(low=0.0)\n")
    config.write_text("".join(lines))
    shutil.copy(project / "params.yaml", project / "shipped.yaml")
    kept = {name: text for name, text in os.environ.items() if not name.startswith(("DVC_", "GIT_"))}
    environment = kept | {"PYTHONPATH": os.pathsep.join([f"{project}/src", f"{project}/studies", f"{project}"])}
    done = subprocess.run([sys.executable, "-c", LOADS], cwd=project, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 50
