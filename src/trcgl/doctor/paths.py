"""Check the files and folders that a params file names."""

import os
from collections.abc import Iterator
from pathlib import Path

from trcgl.config import Params
from trcgl.diffusion.generator.hub import is_hub_id
from trcgl.doctor.findings import WITH_LABEL_VECTORS
from trcgl.doctor.generator import check_generator
from trcgl.doctor.hub_cache import cached_file, download_command
from trcgl.doctor.repository import check_committed
from trcgl.doctor.said import Said, problem
from trcgl.runtime.errors import InputError
from trcgl.runtime.unexpanded import why_missing


def check_paths(params: Params) -> Iterator[Said]:
    """Relative paths that lead out of the repository, and named files that are not there."""
    assets = dict(_assets(params))
    dataset = params.dataset
    data = {
        "dataset.images": dataset.images,
        "dataset.labels": dataset.labels,
        "dataset.split_file": dataset.split_file,
        "dataset.boxes": dataset.boxes,
        "dataset.box_sizes": dataset.box_sizes,
    }
    for key, value in {**data, **assets}.items():
        if value is not None and _leads_out(value):
            yield problem(
                key, f"'{value}' is relative and leads out of the repository, so queued experiments do not find it; "
                f"give the absolute path {Path(value).resolve()}",
            )  # fmt: skip
    yield from check_committed(data | assets)
    missing = 0
    for key, value in assets.items():
        # Only a base is looked for in the home folder
        is_base = key == "diffusion.base"
        if not (Path(value).expanduser() if is_base else Path(value)).exists():
            missing += 1
            why = "" if is_base else why_missing(value)
            yield problem(key, f"'{value}' does not exist{why}; give an existing path{_or_null(key)}")
    for key, training in (("baseline", params.baseline), ("classifier", params.classifier)):
        if training.initial_weights == "imagenet" and (absent := _absent_imagenet(training.backbone)):
            missing += 1
            yield problem(f"{key}.initial_weights", absent)
    yield from _check_backbones(params)
    yield from check_generator(params)
    base = params.diffusion.base
    revision = params.diffusion.base_revision
    if base is not None and is_hub_id(base) and not _is_cached(base, revision, "model_index.json"):
        missing += 1
        fetch = download_command(base, revision)
        yield problem(
            "diffusion.base", f"'{base}' is neither a folder nor in the local cache of the hub; run `{fetch}` first"
        )
    if not missing:
        yield Said("assets", f"all {len(assets)} named files and folders exist")


def _check_backbones(params: Params) -> Iterator[Said]:
    """Backbones that cannot be built or cannot process the images, and files of weights that do not fit them."""
    from trcgl.classifier.network.backbone import UnfitBackbone, create_backbone, map_shape
    from trcgl.classifier.network.weights import load_weights

    for section, training in (("baseline", params.baseline), ("classifier", params.classifier)):
        try:
            backbone = create_backbone(training.backbone, training.backbone_options)
            map_shape(backbone, params.images.classifier_size)
        except UnfitBackbone as error:
            yield problem(f"{section}.{error.key}", error)
            continue
        weights = training.initial_weights
        if weights is not None and weights != "imagenet" and Path(weights).exists():
            try:
                load_weights(backbone, weights, training.backbone_options)
            except InputError as error:
                yield problem(f"{section}.initial_weights", error)
            except OSError as error:
                yield problem(
                    f"{section}.initial_weights", f"'{weights}' cannot be read ({error.strerror}); give a file"
                )


def _assets(params: Params) -> Iterator[tuple[str, str]]:
    """Key and path of what the stages will read besides images and labels."""
    labels, classifier = params.labels, params.classifier
    yield "labels.vocabulary", labels.vocabulary
    optional = {
        "labels.class_table": labels.class_table,
        "audit.detector": params.audit.detector,
        "classifier.label_vectors": classifier.label_vectors if classifier.head in WITH_LABEL_VECTORS else None,
        "baseline.initial_weights": params.baseline.initial_weights,
        "classifier.initial_weights": classifier.initial_weights,
    }
    for key, value in optional.items():
        # "imagenet" stands for timm's own weights, not for a file
        if value is not None and value != "imagenet":
            yield key, value
    base = params.diffusion.base
    if base is not None and not is_hub_id(base):
        yield "diffusion.base", base


def _absent_imagenet(backbone: str) -> str:
    """Why timm's weights for a backbone cannot be loaded without a network; "" if they can."""
    import timm

    if not timm.is_model(backbone):
        return ""
    configuration = timm.get_pretrained_cfg(backbone)
    name = None if configuration is None else configuration.hf_hub_id
    if name is None:
        return f"timm has no weights for '{backbone}'; give the path of a safetensors file, or null"
    if any(_is_cached(name, None, file) for file in ("model.safetensors", "pytorch_model.bin")):
        return ""
    return f"imagenet: '{name}' is not in the local cache of the hub; run `hf download {name}` first"


def _leads_out(value: str) -> bool:
    """Whether a path leads out of the repository, by its text only: a link inside it to another disk is allowed."""
    return Path(os.path.normpath(value)).parts[:1] == ("..",)


def _is_cached(name: str, revision: str | None, file: str) -> bool:
    return cached_file(name, revision, file) is not None


def _or_null(key: str) -> str:
    return "" if key == "labels.vocabulary" else ", or null"
