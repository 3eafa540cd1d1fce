"""The ONNX file in onnxruntime against torch: every head, any number of pictures, and what it says of itself."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

import trcgl
from tests.classifier_cases import CONVNEXT, SHARED
from tests.inference_cases import PREPARATION
from tests.test_classifier_heads import CLASSES, OPTIONS, directed, label_vectors
from trcgl.classifier.network.heads.build import HEADS, WITH_GRAPH
from trcgl.classifier.network.model import Classifier, ModelConfig
from trcgl.cli import main
from trcgl.inference import onnx_file

pytestmark = pytest.mark.slow

# The learned head on the family of backbones that the presets take
CONVNEXT_CASE: dict[str, Any] = {"backbone": "convnextv2_atto", "backbone_options": CONVNEXT}
RESNET: dict[str, Any] = {"backbone": "resnet10t", "backbone_options": SHARED["backbone_options"]}


def saved(folder: Path, head: str) -> Classifier:
    torch.manual_seed(3)
    config = ModelConfig(
        **(CONVNEXT_CASE if head == "trcgl" else RESNET),
        head=head,
        head_options=OPTIONS[head],
        image_size=32,
        pixel_mean=0.4,
        pixel_std=0.25,
        class_names=tuple(f"finding {i}" for i in range(CLASSES)),
        class_groups=("head",) * CLASSES,
        preparation=PREPARATION,
    )
    model = Classifier(
        config,
        directed() if head in WITH_GRAPH else None,
        label_vectors=label_vectors() if head in ("mlgcn", "trcgl") else None,
    ).eval()
    model.thresholds = {name: 0.1 * (i + 1) for i, name in enumerate(config.class_names)}
    model.save(folder)
    return model


@pytest.mark.parametrize("head", HEADS)
def test_every_head_agrees_with_torch(tmp_path: Path, head: str, capsys: pytest.CaptureFixture[str]):
    model = saved(tmp_path / "model", head)
    assert main(["export", "--model", str(tmp_path / "model"), "--out", str(tmp_path / "m.onnx")]) == 0
    assert "differs from the model by" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.onnx", "model"]
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    pictures = np.random.default_rng(0).integers(0, 256, (5, 1, 32, 32), dtype=np.uint8)
    pictures[1] //= 8
    pictures[2, :, :16] = 255
    with torch.no_grad():
        logits, maps = model(torch.from_numpy(pictures))
    assert logits.std(0).max() > 1e-3
    for count in (1, 5):
        found = session.run(["logits", "probabilities", "class_maps"], {"pictures": pictures[:count]})
        for output, expected in zip(found, (logits, logits.sigmoid(), maps), strict=True):
            assert np.asarray(output) == pytest.approx(expected[:count].numpy(), abs=1e-4)
    told = {key: json.loads(value) for key, value in session.get_modelmeta().custom_metadata_map.items()}
    assert told == {
        "findings": list(model.config.class_names),
        "groups": list(model.config.class_groups),
        "thresholds": model.thresholds,
        "preparation": {"window_low": 2.0, "window_high": 97.0, "resize": "pad"},
        "image_size": 32,
    }
    # Where it was made is nobody's business
    assert b".py" not in (tmp_path / "m.onnx").read_bytes()


def test_a_file_that_differs_is_not_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    saved(tmp_path / "model", "linear")
    (tmp_path / "m.onnx").write_text("old")
    arguments = ["export", "--model", str(tmp_path / "model"), "--out", str(tmp_path / "m.onnx")]
    monkeypatch.setattr(onnx_file, "TOLERANCE", -1.0)
    assert main(arguments) == 1
    assert "the exported model differs from it by" in capsys.readouterr().err
    assert (tmp_path / "m.onnx").read_text() == "old"
    (tmp_path / "empty").mkdir()
    arguments[2] = str(tmp_path / "empty")
    assert main(arguments) == 1
    assert "not a saved classifier" in capsys.readouterr().err


def test_onnxruntime_collects_nothing(tmp_path: Path):
    """Merely to be imported, it would write an id of the machine and facts about it into the home folder."""
    script = "import trcgl.inference.onnx_file, onnxruntime; onnxruntime.get_available_providers()"
    environment = {**os.environ, "HOME": str(tmp_path), "PYTHONPATH": str(Path(trcgl.__file__).parents[1])}
    for name in ("ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME"):
        environment.pop(name, None)
    subprocess.run([sys.executable, "-c", script], env=environment, check=True)
    assert not list(tmp_path.rglob("*Microsoft*"))
