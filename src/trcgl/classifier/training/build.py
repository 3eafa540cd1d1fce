"""The untrained network that a params file describes, and its loss."""

import numpy as np
import torch

from trcgl.artifacts.label_vectors import read_label_vectors
from trcgl.classifier.network.backbone import UnfitBackbone
from trcgl.classifier.network.heads.build import WITH_GRAPH
from trcgl.classifier.network.model import Classifier, ModelConfig
from trcgl.classifier.training.data import TrainingData
from trcgl.classifier.training.head_options import adjacency_threshold, head_options, value
from trcgl.classifier.training.losses.base import MultiLabelLoss
from trcgl.classifier.training.losses.build import build_loss
from trcgl.classifier.training.sections import section_of
from trcgl.config import ClassifierParams, TrainingParams
from trcgl.graph.adjacency import build_adjacency, inflow_share
from trcgl.graph.cooccurrence import Cooccurrence
from trcgl.runtime.errors import InputError
from trcgl.runtime.logging import get_logger

log = get_logger("build")


def build_model(params: TrainingParams, data: TrainingData, cooccurrence: Cooccurrence | None) -> Classifier:
    """Build backbone and head, with initial logits that fit the loss and the prevalence of the findings.

    Args:
        params: a plain TrainingParams gives the linear head.
        data: names, groups and counts of the findings.
        cooccurrence: in the order of data.class_names, for a head with a label graph.

    Raises:
        InputError: the file of label vectors cannot be read or lacks a finding, or the backbone cannot be used (the
            message names its key in the params file); see also Classifier.
    """
    head = params.head if isinstance(params, ClassifierParams) else "linear"
    adjacency, vectors = None, None
    if isinstance(params, ClassifierParams) and head in WITH_GRAPH:
        if cooccurrence is None:
            raise ValueError(f"head '{head}' needs the co-occurrence counts of the label graph")
        adjacency = torch.from_numpy(label_adjacency(params, data, cooccurrence)).float()
        if params.label_vectors is not None and head != "trcgl_paper":
            vectors = torch.from_numpy(read_label_vectors(params.label_vectors, data.class_names))
    config = ModelConfig(
        backbone=params.backbone,
        backbone_options=params.backbone_options,
        head=head,
        head_options=head_options(params) if isinstance(params, ClassifierParams) else {},
        image_size=data.image_size,
        pixel_mean=params.pixel_mean,
        pixel_std=params.pixel_std,
        class_names=data.class_names,
        class_groups=data.class_groups,
    )
    try:
        model = Classifier(config, adjacency, params.initial_weights, vectors)
    except UnfitBackbone as error:
        raise InputError(f"'{section_of(params)}.{error.key}': {error}") from None
    model.head.start_from(loss_of(params, data).initial_logits())
    return model


def label_adjacency(params: ClassifierParams, data: TrainingData, cooccurrence: Cooccurrence) -> np.ndarray:
    """float64 [C, C], see graph/adjacency.py; logs the share of the tail findings' edge weight on head findings."""
    kind = value(params, "adjacency")
    adjacency = build_adjacency(
        kind,
        cooccurrence,
        threshold=adjacency_threshold(params),
        reweight=params.adjacency_reweight,
        confidence=params.adjacency_confidence,
    )
    groups = np.array(data.class_groups)
    share = inflow_share(adjacency, groups == "tail", groups == "head")
    if not np.isnan(share):
        log.info("label graph '%s': tail findings take %.0f %% from head findings", kind, 100 * share)
    return adjacency


def loss_of(params: TrainingParams, data: TrainingData) -> MultiLabelLoss:
    """The loss the parameters name, with the counts of the real training images."""
    return build_loss(params.loss, data.counts())
