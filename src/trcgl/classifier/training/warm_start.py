"""A whole trained classifier, backbone and head, as the start of another training of the same network."""

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
"""What must agree; the rest says what a network was trained on, not what its tensors mean."""


def warm_start(model: Classifier, folder: str | Path) -> None:
    """Take all weights of a saved classifier; its calibration and thresholds stay behind.

    Raises:
        InputError: it cannot be read, or is another network, or names other findings or in another order.
    """
    saved = Classifier.load(folder)
    for name in ALIKE:
        ours, theirs = getattr(model.config, name), getattr(saved.config, name)
        if ours != theirs:
            raise InputError(f"{folder}: its {name} is {theirs}, not {ours}; give one of the same network")
    model.load_state_dict(saved.state_dict())
