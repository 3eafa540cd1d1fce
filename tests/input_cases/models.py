"""Unknown devices, networks that cannot be built, and folders that do not hold a classifier."""

import json
import pickle  # To write files that must be refused
from pathlib import Path
from typing import Any

from tests.input_cases.case import BASELINE, MODEL, Case, Spoil
from tests.input_cases.spoiling import both, cut, delete, params, put


def model(**contents: bytes | str) -> Spoil:
    """Files of the saved classifier, by name without suffix."""
    suffixes = {"model": ".safetensors"}

    def spoil(folder: Path) -> None:
        for name, content in contents.items():
            put(f"model/{name}{suffixes.get(name, '.json')}", content)(folder)

    return spoil


def changed(name: str, **values: Any) -> Spoil:
    """Sets keys of a JSON file of the saved classifier."""

    def spoil(folder: Path) -> None:
        path = folder / f"model/{name}.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return spoil


def _one_deeper(folder: Path) -> None:
    (folder / "model").rename(folder / "classifier")
    (folder / "model").mkdir()
    (folder / "classifier").rename(folder / "model/classifier")


MODELS = (
    Case(
        "Devices",
        "unknown device",
        BASELINE,
        params(compute__device="tpu"),
        "'compute.device' is 'tpu', which cannot be used here (...); use auto, cpu or cuda",
    ),
    Case(
        "Devices",
        "half precision on a processor",
        BASELINE,
        params(compute__precision="fp16"),
        "'compute.precision' is fp16, which is for CUDA only; on a processor use auto, bf16 or fp32",
    ),
    Case(
        "Model",
        "unknown backbone",
        BASELINE,
        params(baseline__backbone="resnet51"),
        "'baseline.backbone': 'resnet51' is not a timm model; ...",
    ),
    Case(
        "Model",
        "options that the backbone does not take",
        BASELINE,
        params(baseline__backbone_options={"zzz": 1}),
        "'baseline.backbone_options': 'resnet10t' cannot be built with the options {'zzz': 1} (...); change them or the backbone "
        "(dvc's -S only adds to them; -S '~SECTION.backbone_options.KEY' takes one away)",
    ),
    Case(
        "Model",
        "no initial weights",
        BASELINE,
        params(baseline__initial_weights="none.safetensors"),
        "none.safetensors: not a readable safetensors file (...)",
    ),
    Case(
        "Model",
        "pickled initial weights",
        BASELINE,
        both(put("w.pth", pickle.dumps({"a": 1})), params(baseline__initial_weights="w.pth")),
        "w.pth: not a safetensors file but a pickle (...), which can run code and is never loaded; docs/datasets/README.md "
        "shows how to convert it",
    ),
    Case(
        "Model folder",
        "no folder",
        MODEL,
        delete("model"),
        "model: not a saved classifier (there is no such folder); dvc repro writes one to data/models/classifier",
    ),
    Case(
        "Model folder",
        "weights missing",
        MODEL,
        delete("model/model.safetensors"),
        "model: not a saved classifier (No such file or directory: model/model.safetensors); dvc repro writes one to data/models/classifier",
    ),
    Case(
        "Model folder",
        "a file in its place",
        MODEL,
        both(delete("model"), put("model", b"weights")),
        "model: not a saved classifier (it is a file; give its folder); dvc repro writes one to data/models/classifier",
    ),
    Case(
        "Model folder",
        "the folder above it",
        MODEL,
        _one_deeper,
        "model: not a saved classifier (give one of its folders: classifier); dvc repro writes one to data/models/classifier",
    ),
    Case(
        "Model folder",
        "weights cut short",
        MODEL,
        cut("model/model.safetensors"),
        "model/model.safetensors: damaged or cut short (...); replace it with an intact one",
    ),
    Case(
        "Model folder",
        "pickled weights",
        MODEL,
        model(model=pickle.dumps({"weights": 1})),
        "model/model.safetensors: damaged or cut short (...); replace it with an intact one",
    ),
    Case(
        "Model folder",
        "a pointer of Git LFS instead of weights",
        MODEL,
        model(model=b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"),
        "model/model.safetensors: a pointer of Git LFS, not the file; fetch it with `git lfs pull`",
    ),
    Case(
        "Model folder",
        "config.json is not JSON",
        MODEL,
        model(config="{"),
        "model/config.json: damaged or cut short (...); replace it with an intact one",
    ),
    Case(
        "Model folder",
        "config.json is a list",
        MODEL,
        model(config="[]"),
        "model: not a saved classifier (config.json is not a JSON object); dvc repro writes one to data/models/classifier",
    ),
    Case(
        "Model folder",
        "config.json of something else",
        MODEL,
        model(config='{"a": 1}'),
        "model: not a saved classifier (config.json lacks 'backbone'); dvc repro writes one to data/models/classifier",
    ),
    Case(
        "Model folder",
        "config.json with an unknown key",
        MODEL,
        changed("config", colour=3),
        "model: not a saved classifier (config.json has the unknown key 'colour'); dvc repro writes one to ...",
    ),
    Case(
        "Model folder",
        "config.json with a backbone that timm does not have",
        MODEL,
        changed("config", backbone="resnet51"),
        "model/config.json: 'backbone': 'resnet51' is not a timm model; did you mean ...",
    ),
    Case(
        "Model folder",
        "config.json with a preparation that cannot be",
        MODEL,
        changed("config", preparation={"window_low": 60, "window_high": 40, "resize": "pad"}),
        "model: not a saved classifier (config.json: 'preparation': 'window_low' is 60 and 'window_high' 40; they must be "
        "percentiles from 0 to 100, the lower one first); dvc repro ...",
    ),
    Case(
        "Model folder",
        "config.json with a preparation that lacks a key",
        MODEL,
        changed("config", preparation={"window_low": 0, "window_high": 100}),
        "model: not a saved classifier (config.json: 'preparation' lacks 'resize'); dvc repro ...",
    ),
    Case(
        "Model folder",
        "config.json with a number for a list",
        MODEL,
        changed("config", weights_have_seen=3),
        "model: not a saved classifier (config.json: 'weights_have_seen' is not a list); dvc repro ...",
    ),
    Case(
        "Model folder",
        "no classes",
        MODEL,
        model(classes="{}"),
        "model/classes.json: damaged or cut short (no key 'classes'); replace it with an intact one",
    ),
    Case(
        "Model folder",
        "thresholds of other findings",
        MODEL,
        model(thresholds='{"hernia": 0.5}'),
        "model: thresholds.json and classes.json name different findings; give files of one training",
    ),
    Case(
        "Model folder",
        "thresholds that are not numbers",
        MODEL,
        model(thresholds='{"Mass": null}'),
        "model: not a saved classifier (thresholds.json: 'Mass' is null, not a number); dvc repro writes one to ...",
    ),
    Case(
        "Model folder",
        "calibration that is not of numbers",
        MODEL,
        model(calibration='{"Mass": {"slope": "steep"}}'),
        "model: not a saved classifier (calibration.json: 'Mass': 'slope' is \"steep\", not a number); dvc repro ...",
    ),
    Case(
        "Model folder",
        "calibration in another form",
        MODEL,
        model(calibration='{"Mass": 1.5}'),
        "model: not a saved classifier (calibration.json: 'Mass' is 1.5, not a JSON object); dvc repro ...",
    ),
    Case(
        "Model folder",
        "calibration of other findings",
        MODEL,
        model(calibration='{"hernia": {"slope": 1.0, "offset": 0.0}}'),
        "model: calibration.json and classes.json name different findings; give files of one training",
    ),
    Case(
        "Model folder",
        "classes and weights of different models",
        MODEL,
        model(
            classes='{"classes": [{"name": "Mass", "group": "head"}]}',
            thresholds='{"Mass": 0.5}',
            calibration='{"Mass": {"slope": 1.0, "offset": 0.0}}',
        ),
        "model: model.safetensors and config.json do not fit (...); give files of one training",
    ),
    Case(
        "Model folder",
        "image folder missing",
        MODEL,
        delete("images"),
        "images: no such folder; give the folder of the images with --images",
    ),
)
