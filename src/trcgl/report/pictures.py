"""Figures of results that the pipeline writes only as tables, for the report page, which works without a network."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from trcgl.config import Params
from trcgl.runtime.figures import MODEL_COLOURS, columns_of

GROUP_COLOURS = {"head": "#4c72b0", "medium": "#8172b3", "tail": "#dd8452"}


def label_distribution(classes: Sequence[Mapping[str, Any]]) -> Figure:
    """Number of images with each finding in the training and the test split, in table order and coloured by group.

    Args:
        classes: entries of data/labels/classes.json: name, group, positives per split.
    """
    parts = columns_of(len(classes))
    figure, panels = plt.subplots(
        1, len(parts), figsize=(8 * len(parts), 0.24 * len(parts[0]) + 1.2), squeeze=False, layout="constrained"
    )
    trained = np.array([entry["positives"]["train"] for entry in classes])
    tested = np.array([entry["positives"]["test"] for entry in classes])
    for axes, part in zip(panels[0], parts, strict=True):
        for group, colour in GROUP_COLOURS.items():
            members = [i for i, c in enumerate(part) if classes[c]["group"] == group]
            if members or len(parts) == 1:
                axes.barh(members, trained[part[members]], color=colour, label=f"{group}, training")
        place = np.arange(len(part))
        axes.plot(tested[part], place, "D", color="black", markersize=3, label="test")
        # Counts beside the names: bars of the rarest findings may be too short to be seen
        axes.set_yticks(place, [f"{classes[c]['name']} ({trained[c]})" for c in part])
        axes.tick_params(axis="y", labelsize=8)
        axes.invert_yaxis()
        # With several columns, each has its own scale: on that of the first, the rarest findings would have no bars
        axes.set_xlabel("images with the finding (in brackets: training)")
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncol=4, fontsize=8, frameon=False)
    return figure


def diffusion_loss(curve: pd.DataFrame) -> Figure:
    """Training loss of the generator, a panel per phase.

    Args:
        curve: phase, step, loss.
    """
    phases = list(dict.fromkeys(curve["phase"])) or ["left out"]
    figure, panels = plt.subplots(1, len(phases), figsize=(4 * len(phases) + 1, 3), squeeze=False, layout="constrained")
    for axes, phase in zip(panels[0], phases, strict=True):
        part = curve[curve["phase"] == phase]
        axes.plot(part["step"], part["loss"], color="#4c72b0")
        axes.set(title=phase, xlabel="step")
    panels[0, 0].set_ylabel("loss")
    return figure


def same_loss(params: Params, known_places: int) -> bool:
    """Whether the training losses of both models are the same quantity.

    Args:
        known_places: findings whose place in the image the classifier learned from, by an extra loss.
    """
    return params.baseline.loss == params.classifier.loss and not known_places


def classifier_curves(histories: Mapping[str, pd.DataFrame], same_loss: bool) -> Figure:
    """Training loss and validation mAP of the classifiers.

    Args:
        histories: model -> epoch, loss, val_mAP.
        same_loss: whether the models' losses are the same quantity; the title says if not.
    """
    loss = "training loss" if same_loss else "training loss (each model has its own)"
    figure, panels = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
    for axes, column, title in zip(panels, ("loss", "val_mAP"), (loss, "validation mAP"), strict=True):
        for model, history in histories.items():
            axes.plot(history["epoch"], history[column], "o-", markersize=3, label=model, color=MODEL_COLOURS[model])
        axes.set(title=title, xlabel="epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    panels[0].legend(fontsize=8)
    return figure
