"""Saving, loading, initial weights and prediction."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from tests.classifier_cases import SHARED, classifier_params
from trcgl.classifier.network import backbone as backbone_module
from trcgl.classifier.network.backbone import create_backbone, feature_maps, map_shape, warn_if_seen
from trcgl.classifier.network.model import Classifier, ModelConfig
from trcgl.classifier.network.predict import predict, predict_with_maps
from trcgl.classifier.network.scaling import Scaling
from trcgl.classifier.network.weights import load_weights
from trcgl.classifier.training.head_options import head_options
from trcgl.runtime.errors import InputError

ROOT = Path(__file__).resolve().parents[1]
OPTIONS = SHARED["backbone_options"]
CONFIG = ModelConfig(
    backbone="resnet10t",
    backbone_options=OPTIONS,
    head="trcgl_paper",
    head_options=head_options(classifier_params()),
    image_size=32,
    pixel_mean=0.4,
    pixel_std=0.25,
    class_names=("effusion", "nodule"),
    class_groups=("head", "tail"),
)
IMAGES = np.random.default_rng(0).integers(0, 256, (5, 32, 32), dtype=np.uint8)


def build(initial_weights: str | None = None) -> Classifier:
    torch.manual_seed(0)
    model = Classifier(CONFIG, torch.tensor([[0.8, 0.2], [0.0, 1.0]]), initial_weights)
    model.thresholds = {"effusion": 0.3, "nodule": 0.1 + 0.2}
    return model.eval()


def calibrated() -> Classifier:
    model = build()
    model.calibrate({"effusion": Scaling(0.7, -1.0), "nodule": Scaling(1.1, 0.1)})
    return model


def test_save_and_load_give_the_same_model(tmp_path: Path):
    model = calibrated()
    model.save(tmp_path / "model")
    again = Classifier.load(tmp_path / "model")
    assert again.config == model.config
    assert again.thresholds == model.thresholds
    assert again.scalings == model.scalings
    assert (predict(again, IMAGES) == predict(model, IMAGES)).all()
    for found, expected in zip(predict_with_maps(again, IMAGES), predict_with_maps(model, IMAGES), strict=True):
        assert (found == expected).all()
    assert {path.name for path in (tmp_path / "model").iterdir()} == {
        "model.safetensors", "config.json", "classes.json", "calibration.json", "thresholds.json",
    }  # fmt: skip


def test_scalings_move_logits_and_nothing_else():
    model = calibrated()
    probabilities, maps = predict_with_maps(model, IMAGES)
    model.calibrate(dict.fromkeys(CONFIG.class_names, Scaling()))
    plain, same_maps = predict_with_maps(model, IMAGES)
    logits = np.log(plain / (1 - plain)) * (0.7, 1.1) + (-1.0, 0.1)
    assert probabilities == pytest.approx(1 / (1 + np.exp(-logits)), abs=1e-6)
    assert (maps == same_maps).all()


def test_a_model_without_its_calibration_does_not_load(tmp_path: Path):
    """Its thresholds belong to calibrated probabilities."""
    calibrated().save(tmp_path / "model")
    (tmp_path / "model" / "calibration.json").unlink()
    with pytest.raises(InputError, match=r"No such file or directory: .*calibration\.json"):
        Classifier.load(tmp_path / "model")


def test_a_model_that_does_not_say_what_its_weights_have_seen_does_not_load(tmp_path: Path):
    """It could be scored on its own training images without a warning."""
    calibrated().save(tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    del config["weights_have_seen"]
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=r"config\.json lacks 'weights_have_seen'"):
        Classifier.load(tmp_path / "model")


def test_a_calibration_of_other_findings_does_not_load(tmp_path: Path):
    calibrated().save(tmp_path / "model")
    (tmp_path / "model" / "calibration.json").write_text('{"effusion": {"slope": 1.0, "offset": 0.0}}')
    with pytest.raises(InputError, match=r"calibration\.json and classes.json name different findings"):
        Classifier.load(tmp_path / "model")


@pytest.mark.slow
def test_files_have_the_same_bytes_in_every_process(tmp_path: Path):
    build().save(tmp_path / "here")
    script = "import sys; from tests.test_classifier_model import build; build().save(sys.argv[1])"
    subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "there")],
        cwd=ROOT, env={"PYTHONPATH": "src:.", "OMP_NUM_THREADS": "1"}, check=True,
    )  # fmt: skip
    for file in (tmp_path / "here").iterdir():
        assert file.read_bytes() == (tmp_path / "there" / file.name).read_bytes(), file.name


def test_a_model_that_lost_a_tensor_does_not_load(tmp_path: Path):
    build().save(tmp_path / "m")
    tensors = load_file(tmp_path / "m" / "model.safetensors")
    del tensors["head.reweighting.gate.squeeze.weight"]
    save_file(tensors, tmp_path / "m" / "model.safetensors")
    with pytest.raises(InputError, match=r"do not fit.*squeeze"):
        Classifier.load(tmp_path / "m")


def test_a_folder_without_a_model_is_one_line(tmp_path: Path):
    with pytest.raises(InputError, match="not a saved classifier") as caught:
        Classifier.load(tmp_path)
    assert "\n" not in str(caught.value)


def test_bytes_and_floats_are_the_same_picture():
    model = build()
    pixels = torch.from_numpy(IMAGES).unsqueeze(1)
    with torch.no_grad():
        assert (model(pixels)[0] == model(pixels.float() / 255)[0]).all()
        with pytest.raises(ValueError, match="reads"):
            model(pixels[:, :, 1:])


def test_predict_in_batches_of_chosen_rows():
    model = build()
    rows = np.array([4, 0, 2])
    chosen = predict(model, IMAGES, rows=rows, batch_size=2)
    assert chosen == pytest.approx(predict(model, IMAGES)[rows], abs=1e-6)
    assert chosen.dtype == np.float32
    assert predict(model, IMAGES[:0]).shape == (0, 2)
    probabilities, maps = predict_with_maps(model, IMAGES)
    assert probabilities == pytest.approx(predict(model, IMAGES))
    assert maps.shape == (5, 2, 4, 4)


def imagenet_file(path: Path) -> dict[str, torch.Tensor]:
    """A file as timm publishes them: three input channels and a classifier."""
    torch.manual_seed(1)
    tensors = timm.create_model("resnet10t", num_classes=7, **OPTIONS).state_dict()
    save_file(tensors, path)
    return tensors


def test_colour_weights_are_summed_to_grey(tmp_path: Path):
    tensors = imagenet_file(tmp_path / "w.safetensors")
    backbone = create_backbone("resnet10t", OPTIONS)
    load_weights(backbone, tmp_path / "w.safetensors")
    colour = timm.create_model("resnet10t", num_classes=0, global_pool="", **OPTIONS)
    colour.load_state_dict({key: value for key, value in tensors.items() if not key.startswith("fc.")})
    grey = torch.rand(2, 1, 32, 32)
    with torch.no_grad():
        expected = colour.eval()(grey.repeat(1, 3, 1, 1))
        torch.testing.assert_close(backbone.eval()(grey), expected, atol=1e-4, rtol=1e-4)


def test_a_saved_classifier_gives_its_backbone(tmp_path: Path):
    model = build()
    model.save(tmp_path / "m")
    again = build(str(tmp_path / "m" / "model.safetensors"))
    for key, value in model.backbone.state_dict().items():
        assert (again.backbone.state_dict()[key] == value).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("layer1.0.bn1.weight"), r"w\.safetensors: lacks the tensor layer1\.0\.bn1\.weight; "),
        (lambda t: t.update(extra=torch.zeros(1)), "holds the tensor extra, not of this backbone; "),
        (
            lambda t: t.update({"bn1.bias": torch.zeros(3)}),
            r"tensor bn1\.bias \(3, not \d+\) in another shape; ",
        ),
    ],
)
def test_weights_that_do_not_fit_are_named(tmp_path: Path, change, message: str):
    tensors = imagenet_file(tmp_path / "w.safetensors")
    change(tensors)
    save_file(tensors, tmp_path / "w.safetensors")
    with pytest.raises(InputError, match=message):
        load_weights(create_backbone("resnet10t", OPTIONS), tmp_path / "w.safetensors")


@pytest.mark.parametrize("content", [None, b"not safetensors"])
def test_an_unreadable_weights_file_is_one_line(tmp_path: Path, content: bytes | None):
    if content is not None:
        (tmp_path / "w.safetensors").write_bytes(content)
    with pytest.raises(InputError, match=r"w\.safetensors: not a readable safetensors file") as caught:
        load_weights(create_backbone("resnet10t", OPTIONS), tmp_path / "w.safetensors")
    assert "\n" not in str(caught.value)


def test_weights_that_saw_the_data_set_are_said_aloud(monkeypatch: pytest.MonkeyPatch):
    said: list[str] = []
    monkeypatch.setattr(backbone_module.log, "warning", lambda text, *values: said.append(text % values))
    warn_if_seen(("mimic",), "padchest")
    assert said == []
    warn_if_seen(("mimic", "padchest"), "padchest")
    assert "have seen 'padchest'" in said[0]


def test_an_unknown_backbone_gets_a_suggestion():
    with pytest.raises(InputError, match="'resnet10' is not a timm model; did you mean 'resnet1"):
        create_backbone("resnet10", {})
    with pytest.raises(InputError, match="'resnet10t' cannot be built with the options"):
        create_backbone("resnet10t", {"no_such_option": 1})


@pytest.mark.parametrize(
    ("name", "options", "size"),
    [
        ("vit_tiny_patch16_224", {"img_size": 64, "depth": 1}, 64),
        ("swin_tiny_patch4_window7_224", {"img_size": 64, "depths": [1, 1, 1, 1]}, 64),
    ],
)
def test_transformers_give_maps_too(name: str, options: dict, size: int):
    backbone = create_backbone(name, options).eval()
    features, height, width = map_shape(backbone, size)
    assert (features, height) == (backbone.num_features, width)
    with torch.no_grad():
        assert feature_maps(backbone, torch.zeros(2, 1, size, size)).shape == (2, features, height, width)


def test_a_size_the_backbone_cannot_read_is_named():
    with pytest.raises(InputError, match="cannot read images of 65 px"):
        map_shape(create_backbone("vit_tiny_patch16_224", {"img_size": 64, "depth": 1}), 65)
