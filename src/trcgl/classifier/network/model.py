"""The classifier: from a uint8 image to one logit and one class map per finding; saved as plain, comparable files."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from trcgl.artifacts.class_list import read_classes
from trcgl.artifacts.preparation import Preparation
from trcgl.classifier.network.backbone import UnfitBackbone, create_backbone, feature_maps, map_shape
from trcgl.classifier.network.heads.base import Head
from trcgl.classifier.network.heads.build import build_head
from trcgl.classifier.network.saved_json import made, not_saved, number, read_object
from trcgl.classifier.network.scaling import Scaling
from trcgl.classifier.network.weights import load_weights
from trcgl.runtime.errors import InputError
from trcgl.runtime.files import directory_beside, read_tensors, write_json
from trcgl.runtime.unexpanded import why_missing

WEIGHTS, CONFIG, CLASSES = "model.safetensors", "config.json", "classes.json"
CALIBRATION, THRESHOLDS = "calibration.json", "thresholds.json"


@dataclass(frozen=True)
class ModelConfig:
    """Everything needed to build the network again, except its tensors.

    Attributes:
        backbone, backbone_options: timm's name and keyword arguments.
        head, head_options: see heads/build.py.
        image_size: side in pixels of the images that the model reads.
        pixel_mean, pixel_std: of grey values in 0..1; the model itself normalises its inputs with them.
        class_names: order of logits and maps.
        class_groups: head, medium or tail for each class.
        preparation: how image files become model inputs; None if the model was trained on arrays, not on files.
        weights_have_seen: data sets that the weights were trained on: those of the initial weights, and its own.
        extra_source, extra_images: kind and number of the images that it was trained on besides real ones.
        known_places: number of marked findings in training images whose positions the class maps learned from.
    """

    backbone: str
    backbone_options: dict[str, Any]
    head: str
    head_options: dict[str, Any]
    image_size: int
    pixel_mean: float
    pixel_std: float
    class_names: tuple[str, ...]
    class_groups: tuple[str, ...]
    preparation: Preparation | None = None
    weights_have_seen: tuple[str, ...] = ()
    extra_source: str = "none"
    extra_images: int = 0
    known_places: int = 0


class Classifier(nn.Module):
    """Backbone and head.

    Args:
        config: what to build.
        adjacency: float32 [C, C], for a head with a label graph; kept as a buffer.
        initial_weights: path of a safetensors file, `imagenet`, or None for random weights; see weights.py.
        label_vectors: float32 [C, d], for a head that starts from them; saved with the weights.

    Attributes:
        config: as given.
        thresholds: class name -> the probability from which a finding counts as present; 0.5 until tuned.
        scalings: class name -> scaling of its logit; they change nothing until `calibrate` is called.
    """

    pixel_mean: Tensor
    pixel_std: Tensor
    slope: Tensor
    offset: Tensor

    def __init__(
        self,
        config: ModelConfig,
        adjacency: Tensor | None = None,
        initial_weights: str | None = None,
        label_vectors: Tensor | None = None,
    ):
        super().__init__()
        self.config = config
        self.thresholds = dict.fromkeys(config.class_names, 0.5)
        self.register_buffer("pixel_mean", torch.tensor(config.pixel_mean, dtype=torch.float32))
        self.register_buffer("pixel_std", torch.tensor(config.pixel_std, dtype=torch.float32))
        # Not in the state dict: they are saved in a file of their own, which people can read
        self.register_buffer("slope", torch.ones(len(config.class_names)), persistent=False)
        self.register_buffer("offset", torch.zeros(len(config.class_names)), persistent=False)
        self.scalings = dict.fromkeys(config.class_names, Scaling())
        imagenet = initial_weights == "imagenet"
        self.backbone = create_backbone(config.backbone, config.backbone_options, pretrained=imagenet)
        if initial_weights is not None and not imagenet:
            load_weights(self.backbone, initial_weights, config.backbone_options)
        features, *_ = map_shape(self.backbone, config.image_size)
        self.head: Head = build_head(
            config.head, features, len(config.class_names), config.head_options, adjacency, label_vectors
        )

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Classify a batch.

        Args:
            images: [B, 1, S, S], uint8 or float in 0..1, S = config.image_size.

        Returns:
            logits [B, C] and class maps [B, C, h, w], float32.
        """
        features = self.features(images)
        # The head is small: float32 costs nothing there and keeps softmax and cosine exact
        with torch.autocast(images.device.type, enabled=False):
            logits, maps = self.head(features.float())
            return self.slope * logits + self.offset, maps

    @torch.no_grad()
    def calibrate(self, scalings: Mapping[str, Scaling]) -> None:
        """Set the scaling of each class; see calibration.py."""
        self.scalings = {name: scalings[name] for name in self.config.class_names}
        for buffer, values in zip((self.slope, self.offset), zip(*self.scalings.values(), strict=True), strict=True):
            buffer.copy_(torch.tensor(values))

    def features(self, images: Tensor) -> Tensor:
        """The backbone's last feature map [B, F, h, w], which the head reads; `images` as in `forward`."""
        size = self.config.image_size
        if images.shape[1:] != (1, size, size):
            raise ValueError(f"images of shape {tuple(images.shape)}; the model reads [B, 1, {size}, {size}]")
        if images.dtype == torch.uint8:
            images = images.float() / 255.0
        return feature_maps(self.backbone, (images - self.pixel_mean) / self.pixel_std)

    def save(self, folder: str | Path) -> None:
        """Replace `folder` by model.safetensors, config.json, classes.json, calibration.json and thresholds.json.

        Equal weights give equal bytes: the tensors are saved without metadata, whose order would differ between
        processes. Numbers are written exactly, without rounding: those of the configuration are the given ones, and the
        others were already rounded when they were fitted.
        """
        config = dataclasses.asdict(self.config)
        names, groups = config.pop("class_names"), config.pop("class_groups")
        with directory_beside(folder) as beside:
            save_file({key: value.contiguous().cpu() for key, value in self.state_dict().items()}, beside / WEIGHTS)
            write_json(beside / CONFIG, config, exact=True)
            classes = [{"name": name, "group": group} for name, group in zip(names, groups, strict=True)]
            write_json(beside / CLASSES, {"classes": classes})
            scalings = {name: scaling._asdict() for name, scaling in self.scalings.items()}
            write_json(beside / CALIBRATION, scalings, exact=True)
            write_json(beside / THRESHOLDS, self.thresholds, exact=True)

    @classmethod
    def load(cls, folder: str | Path) -> "Classifier":
        """Read a saved classifier, in evaluation mode on the CPU.

        Raises:
            InputError: a file is missing or damaged, or the files and tensors do not belong together.
        """
        folder = Path(folder)
        try:
            tensors = read_tensors(folder / WEIGHTS)
            config = _read_config(folder)
            cuts = read_object(folder, THRESHOLDS)
            calibrated = read_object(folder, CALIBRATION)
        except PermissionError as error:
            raise InputError(
                f"{error.filename}: may not be read by this user; let whoever owns it change its permissions"
            ) from None
        except OSError as error:
            raise not_saved(folder, _why_no_folder(folder, error)) from None
        thresholds = {name: number(folder, f"{THRESHOLDS}: '{name}'", value, high=1) for name, value in cuts.items()}
        scalings = {name: _scaling(folder, name, values) for name, values in calibrated.items()}
        for file, named in ((THRESHOLDS, thresholds), (CALIBRATION, scalings)):
            if set(named) != set(config.class_names):
                raise InputError(f"{folder}: {file} and {CLASSES} name different findings; give files of one training")
        try:
            # The size of the label graph follows from its own saved tensors
            graph = {key.rsplit(".", 1)[1]: value for key, value in tensors.items() if key.startswith("head.graph.")}
            model = cls(config, graph.get("adjacency"), label_vectors=graph.get("vectors"))
            model.load_state_dict(tensors)
        except UnfitBackbone as error:
            raise InputError(f"{folder / CONFIG}: '{error.key}': {error}") from None
        except (RuntimeError, ValueError, TypeError, KeyError) as error:
            reason = " ".join(str(error).split())
            raise InputError(
                f"{folder}: {WEIGHTS} and {CONFIG} do not fit ({reason}); give files of one training"
            ) from None
        model.thresholds = {name: thresholds[name] for name in config.class_names}
        model.calibrate(scalings)
        return model.eval()


def preparation_of(model: Classifier, name: str) -> Preparation:
    """How image files become inputs of the model.

    Args:
        name: of the model, for the message.

    Raises:
        InputError: the model was trained on arrays, so it has no preparation.
    """
    if model.config.preparation is None:
        raise InputError(
            f"{name}: {CONFIG} lacks 'preparation' (how pictures are made from files); give a classifier that dvc "
            "repro trained"
        )
    return model.config.preparation


def _why_no_folder(folder: Path, error: OSError) -> str:
    """Why no classifier can be read from `folder`, and where there may be one."""
    if folder.is_file():
        return "it is a file; give its folder"
    if not folder.is_dir():
        return f"there is no such folder{why_missing(folder)}"
    inside = sorted(path.parent.name for path in folder.glob("*/classes.json"))
    if inside:
        return f"give one of its folders: {', '.join(inside)}"
    return f"{error.strerror}: {error.filename}"


def _read_config(folder: Path) -> ModelConfig:
    classes = read_classes(folder / CLASSES)["classes"]
    values = read_object(folder, CONFIG)
    prepared, stated = values.pop("preparation", None), "weights_have_seen" in values
    try:
        seen = tuple(values.pop("weights_have_seen", ()))
    except TypeError:
        raise not_saved(folder, f"{CONFIG}: 'weights_have_seen' is not a list") from None
    known = {
        "class_names": tuple(entry["name"] for entry in classes),
        "class_groups": tuple(entry["group"] for entry in classes),
        "preparation": None if prepared is None else made(Preparation, folder, f"{CONFIG}: 'preparation'", prepared),
        "weights_have_seen": seen,
    }
    config = made(ModelConfig, folder, CONFIG, values, known)
    # Without this key the model could be scored on its own training images without a warning
    if not stated:
        raise not_saved(folder, f"{CONFIG} lacks 'weights_have_seen'")
    return config


def _scaling(folder: Path, finding: str, values: Any) -> Scaling:
    where = f"{CALIBRATION}: '{finding}'"
    scaling = made(Scaling, folder, where, values)
    return Scaling(*(number(folder, f"{where}: '{key}'", value) for key, value in scaling._asdict().items()))
