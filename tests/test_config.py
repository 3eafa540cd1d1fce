"""The params file: complete, typed, and one line when something is wrong with it."""

import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from trcgl.config import DATASETS, load_params, overlay
from trcgl.runtime.errors import InputError
from trcgl.runtime.settings import parse_yaml, read_yaml
from trcgl.setup.presets import SCALES, overlay_files

ROOT = Path(__file__).resolve().parents[1]
OVERLAYS = sorted((ROOT / "presets").rglob("*.yaml"))


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Values by dotted key; backbone_options is one value."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        whole = key == "backbone_options" or not isinstance(value, dict)
        found |= {prefix + key: value} if whole else flat(value, f"{prefix}{key}.")
    return found


def changed(tmp_path: Path, edit: dict[str, object], remove: str | None = None) -> Path:
    """params.yaml with some dotted keys set or one removed."""
    yaml = YAML()
    values = yaml.load(ROOT / "params.yaml")
    for key, value in edit.items():
        *parents, last = key.split(".")
        section = values
        for parent in parents:
            section = section[parent]
        section[last] = value
    if remove:
        section, last = remove.split(".")
        del values[section][last]
    path = tmp_path / "params.yaml"
    yaml.dump(values, path)
    return path


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("dataset", DATASETS)
def test_every_data_set_has_valid_parameters_at_every_scale(dataset: str, scale: str):
    params = load_params(ROOT / "params.yaml", overlays=overlay_files(dataset, scale, ROOT / "presets"))
    assert params.dataset.name == dataset


@pytest.mark.parametrize("file", OVERLAYS, ids=lambda file: file.stem)
def test_an_overlay_names_only_what_differs(file: Path):
    """Key by key: a value that is already the shipped one would hide a later change of it."""
    under = flat(read_yaml(ROOT / "params.yaml"))
    dataset, _, scale = file.stem.partition(".")
    if scale:
        # The last of its overlays
        for other in overlay_files(dataset, scale, ROOT / "presets")[:-1]:
            under |= flat(read_yaml(other))
    for key, value in flat(read_yaml(file)).items():
        assert under[key] != value, f"{file.name}: {key} is {value} without it"


@pytest.mark.parametrize("file", [ROOT / "params.yaml", *OVERLAYS], ids=lambda file: file.stem)
def test_every_knob_says_why(file: Path):
    for number, line in enumerate(file.read_text().splitlines(), 1):
        bare = line.strip()
        if bare and not bare.startswith("#") and not bare.endswith(":"):
            assert "#" in line, f"{file.name}:{number}: a knob without a word of why: {bare}"


def test_small_learning_rate_stays_a_number(tmp_path: Path):
    path = changed(tmp_path, {})
    path.write_text(re.sub(r"(?m)^  lr: \S+", "  lr: 1e-05", path.read_text()))
    assert load_params(path).classifier.lr == 1e-05


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            {"evaluation.test_time_flip": True},
            "'evaluation.test_time_flip' is true, but a model is trained without flips",
        ),
        ({"classifier.lrr": 1}, "unknown key 'classifier.lrr'; did you mean 'lr'?"),
        ({"classifier.epochs": "ten"}, "'classifier.epochs' is 'ten'; it must be a whole number"),
        ({"classifier.epochs": True}, "'classifier.epochs' is True; it must be a whole number"),
        ({"classifier.epochs": None}, "'classifier.epochs' is empty; it must be a whole number"),
        ({"classifier.lr": -0.1}, "'classifier.lr' is -0.1; it must be at least 0.0"),
        ({"classifier.lr": float("nan")}, "'classifier.lr' is nan; it must be a finite number"),
        ({"diffusion.lr": 10**400}, "'diffusion.lr' is inf; it must be a finite number"),
        ({"compute.threads": 200_000}, "'compute.threads' is 200000; it must be between 1 and 1024"),
        ({"compute.workers": 5000}, "'compute.workers' is 5000; it must be between 1 and 1024"),
        ({"classifier.loss": "cross"}, "'classifier.loss' is 'cross'; it must be one of: bce, "),
        ({"dataset.images": ""}, "'dataset.images' is ''; it must be a path"),
        ({"dataset.boxes": " "}, "'dataset.boxes' is ' '; it must be a path or null"),
        ({"labels.projections": "PA"}, "'labels.projections' is 'PA'; it must be a list"),
        ({"labels.projections": [1]}, "'labels.projections[0]' is 1; it must be text"),
        ({"images.resize": 3}, "'images.resize' is 3; it must be one of: pad, crop"),
        ({"labels.tail_below": 0.5}, "must not be above 'labels.head_above' (0.1): a finding has only one group"),
        ({"labels.test_fraction": 0.95}, "it must leave patients for training"),
        ({"classifier.epochs": 0, "classifier.frozen_epochs": 0}, "at least one epoch is needed"),
        ({"baseline.accumulate": 5}, "'baseline.accumulate' is 5; it must divide 'baseline.batch_size' (16)"),
        ({"classifier.csra_heads": 3}, "'classifier.csra_heads' is 3; it must be one of: 1, 2, 4, 6, 8"),
        ({"classifier.decoder_width": 100}, "'classifier.decoder_width' is 100; it must be a multiple of 8"),
        (
            {"classifier.head": "mlgcn", "classifier.adjacency": "lift"},
            "'classifier.adjacency' is lift; with 'classifier.head' mlgcn it must be null",
        ),
        (
            {"classifier.head": "mlgcn", "classifier.adjacency_reweight": 1.0},
            "'classifier.adjacency_reweight' is 1; with 'classifier.head' mlgcn it must be below 1: a finding",
        ),
        ({"diffusion.prompt_dropout": 1.0}, "'diffusion.prompt_dropout' is 1; it must be below 1, or no prompt"),
        (
            {"classifier.head": "mlgcn", "classifier.label_vectors": None},
            "'classifier.label_vectors' is null; with 'classifier.head' mlgcn it must be",
        ),
        ({"sampling.images_per_finding": None}, "neither is set; one of them must be a number"),
        ({"sampling.images_per_real_image": 1.5}, "both are set; one of them must be a number"),
        ({"sampling.guidance_start": 0.8, "sampling.guidance_end": 0.2}, "not be above 'sampling.guidance_end' (0.2)"),
        ({"dataset.phantom": 3}, "'dataset.phantom' is 3; it must be a section of keys"),
    ],
)
def test_a_wrong_value_is_one_line_that_names_the_key(tmp_path: Path, edit: dict[str, object], message: str):
    path = changed(tmp_path, edit)
    with pytest.raises(InputError) as caught:
        load_params(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_key_is_named(tmp_path: Path):
    with pytest.raises(InputError, match=r"key 'sampling\.guidance_scale' is missing"):
        load_params(changed(tmp_path, {}, remove="sampling.guidance_scale"))


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(InputError, match=r"no_such\.yaml: cannot be read"):
        load_params(tmp_path / "no_such.yaml")


def test_broken_yaml_names_the_line(tmp_path: Path):
    path = tmp_path / "params.yaml"
    path.write_text("dataset:\n  name: [phantom\nlabels: 3\n")
    with pytest.raises(InputError, match=r"params.yaml line \d: not valid YAML"):
        load_params(path)


@pytest.mark.parametrize("comments", [False, True])
@pytest.mark.parametrize(
    ("value", "seen"),
    [
        ("[2020-13-45]", "(month must be in 1..12); correct it, or put it in quotes"),
        ("[2020-02-30]", "a value is not what its form or tag says (day is out of range for month)"),
        ("!!int abc", "a value is not what its form or tag says (invalid literal"),
        ("!!float ''", "a value is not what its form or tag says (string index"),
        ("!!bool maybe", "a value is not what its form or tag says ('maybe')"),
        ("1" * 5000, "a value is not what its form or tag says (Exceeds the limit"),
        ("[" * 3000, "its lists or sections are nested too deeply"),
    ],
)
def test_a_value_that_yaml_cannot_convert_is_one_line(value: str, seen: str, comments: bool):
    with pytest.raises(InputError) as caught:
        parse_yaml(f"dataset: {value}\n", "params.yaml", comments=comments)
    assert str(caught.value).startswith("params.yaml")
    assert seen in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("comments", "seen"), [(False, "params.yaml line 1: not valid YAML"), (True, "params.yaml: a value is not what")]
)
def test_a_set_that_is_none_is_one_line(comments: bool, seen: str):
    with pytest.raises(InputError, match=f"^{seen}") as caught:
        parse_yaml("dataset: !!set 3\n", "params.yaml", comments=comments)
    assert "\n" not in str(caught.value)


def test_an_overlay_changes_what_it_names(tmp_path: Path):
    file = tmp_path / "overlay.yaml"
    file.write_text(
        "classifier:\n  lr: 0.1\n  backbone_options: {output_stride: 16}\ndataset:\n  phantom: {test_images: 512}\n"
    )
    params = load_params(ROOT / "params.yaml", {"classifier.head_lr": 0.2}, overlays=[file])
    assert (params.classifier.lr, params.classifier.head_lr, params.dataset.phantom.test_images) == (0.1, 0.2, 512)
    assert params.classifier.backbone_options == {"output_stride": 16}, "one value, not a section to merge"
    shipped = load_params(ROOT / "params.yaml")
    assert params.baseline == shipped.baseline
    assert params.dataset.phantom.train_images == shipped.dataset.phantom.train_images


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classifier": {"lrr": 1}}, "unknown key 'classifier.lrr'; did you mean 'lr'?"),
        ({"clasifier": {}}, "unknown key 'clasifier'; did you mean 'classifier'?"),
        ({"dataset": {"phantom": {"pixels": 1}}}, "unknown key 'dataset.phantom.pixels'; known keys: train_images, "),
        ({"dataset": "nih"}, "'dataset' is 'nih'; it must be a section of keys"),
        (None, "the file is empty; it must hold keys with values"),
    ],
)
def test_a_wrong_overlay_is_one_line_that_names_the_key(changes: object, message: str):
    with pytest.raises(InputError) as caught:
        overlay(read_yaml(ROOT / "params.yaml"), changes, "nih.yaml")
    assert str(caught.value).startswith(f"nih.yaml: {message}")
