"""Combine several models into one, by averaging their probabilities or their weights."""

import copy
from collections.abc import Sequence

import numpy as np
import torch

from trcgl.artifacts.pixels import Pixels
from trcgl.classifier.network.model import Classifier
from trcgl.classifier.network.scaling import Scaling
from trcgl.classifier.network.views import View, predict_views
from trcgl.runtime.errors import InputError


def check_alike(models: Sequence[Classifier], names: Sequence[str]) -> None:
    """Raise an InputError unless all models have the same findings, image size and preparation.

    Args:
        names: where each model came from, for the message.
    """
    first = models[0].config
    for model, name in zip(models[1:], names[1:], strict=True):
        for what, key in (
            ("knows other findings", "class_names"),
            ("reads images of another size", "image_size"),
            ("prepares images in another way (window, resize)", "preparation"),
        ):
            if getattr(model.config, key) != getattr(first, key):
                raise InputError(f"{name}: {what} than {names[0]}; models of one ensemble must agree")


def ensemble_predict(models: Sequence[Classifier], images: Pixels, shown: tuple[View, ...]) -> np.ndarray:
    """Mean probability over models and views, float32 [N, C].

    Simple and Scalable Predictive Uncertainty Estimation using Deep Ensembles, https://arxiv.org/abs/1612.01474,
    section 2.4: the ensemble is an equally weighted mixture of its members.
    """
    members = np.stack([predict_views(model, images, shown) for model in models])
    return members.mean(axis=0, dtype=np.float64).astype(np.float32)


def ensemble_thresholds(models: Sequence[Classifier]) -> dict[str, float]:
    """The mean of the members' thresholds per finding, because there are no validation images to tune new ones on."""
    return {name: float(np.mean([model.thresholds[name] for model in models])) for name in models[0].config.class_names}


def average_weights(models: Sequence[Classifier], names: Sequence[str]) -> Classifier:
    """One network with the mean weights, calibrations and thresholds: as fast as one member.

    Model soups, https://arxiv.org/abs/2203.05482, section 2 (the uniform soup). It works for models fine-tuned from the
    same initial weights; the average of networks that started from different random weights is useless. Running
    statistics of batch normalisation are averaged like weights; counters are the first model's.

    Args:
        names: where each model came from, for the message.

    Raises:
        InputError: the models differ in architecture, findings, image size, preparation or normalisation.
    """
    check_alike(models, names)
    states = [model.state_dict() for model in models]
    shapes = [{key: value.shape for key, value in state.items()} for state in states]
    for model, shape, name in zip(models, shapes, names, strict=True):
        if shape != shapes[0] or _network(model) != _network(models[0]):
            raise InputError(f"{name}: another architecture than {names[0]}; weights need the same one to be averaged")
        if _inputs(model) != _inputs(models[0]):
            raise InputError(
                f"{name}: normalises grey values by mean and deviation {_inputs(model)}, but {names[0]} by "
                f"{_inputs(models[0])}; weights need the same ones to be averaged, probabilities do not"
            )
    averaged = {
        key: torch.stack([state[key].double() for state in states]).mean(dim=0).to(value.dtype)
        if value.is_floating_point()
        else value
        for key, value in states[0].items()
    }
    soup = copy.deepcopy(models[0])
    soup.load_state_dict(averaged)
    soup.calibrate(
        {
            name: Scaling(*np.mean([model.scalings[name] for model in models], axis=0).tolist())
            for name in models[0].config.class_names
        }
    )
    soup.thresholds = ensemble_thresholds(models)
    return soup.eval()


def _network(model: Classifier) -> tuple[object, ...]:
    config = model.config
    return config.backbone, config.backbone_options, config.head, config.head_options


def _inputs(model: Classifier) -> tuple[float, float]:
    return model.config.pixel_mean, model.config.pixel_std
