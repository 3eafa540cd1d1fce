"""Starts a training from the weights of a trained classifier of the same network, both backbone and head."""

from dataclasses import fields
from pathlib import Path

from trcgl.classifier.network.model import Classifier, ModelConfig
from trcgl.runtime.errors import InputError

ALIKE = tuple(
    field.name
    for field in fields(ModelConfig)
    if field.name
    not in ("class_groups", "preparation", "weights_have_seen", "extra_source", "extra_images", "known_places")
)
"""Fields that must be equal in both; the others describe what a network was trained on, not what its tensors mean."""


def warm_start(model: Classifier, folder: str | Path) -> None:
    """Load all weights of a saved classifier, but not its calibration, its thresholds and its label graph.

    The graph follows from this run's own label counts and parameters.

    Raises:
        InputError: it cannot be read, is another network, or has other findings or another order of them.
    """
    saved = Classifier.load(folder)
    for name in ALIKE:
        ours, theirs = getattr(model.config, name), getattr(saved.config, name)
        if ours != theirs:
            raise InputError(f"{folder}: its {name} is {theirs}, not {ours}; give one of the same network")
    graph = {name: value for name, value in model.state_dict().items() if name.endswith("adjacency")}
    model.load_state_dict(saved.state_dict() | graph)
