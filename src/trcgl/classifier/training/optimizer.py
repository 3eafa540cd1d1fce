"""AdamW over parameter groups: the weight decay and the learning rate of each group."""

from typing import Any

import torch
from timm.optim._param_groups import param_groups_layer_decay, param_groups_weight_decay

from trcgl.classifier.network.model import Classifier
from trcgl.classifier.training.schedule import learning_rate_share
from trcgl.config import TrainingParams


def build_optimizer(model: Classifier, params: TrainingParams) -> torch.optim.AdamW:
    """AdamW, with one fused kernel per group where the device supports it (CPU and CUDA do)."""
    groups = parameter_groups(model, params.weight_decay, params.layer_decay)
    return torch.optim.AdamW(groups, fused=next(model.parameters()).device.type in ("cpu", "cuda"))


def parameter_groups(model: Classifier, weight_decay: float, layer_decay: float = 1.0) -> list[dict[str, Any]]:
    """Parameter groups of backbone and head, with weight decay on weights but not on biases, norms and other vectors.

    Nor does it act on what timm's model exempts, such as the position embedding of a vision transformer.

    Args:
        layer_decay: below 1, each layer of the backbone has its own groups, and its `lr_scale` is `layer_decay` times
            that of the next layer towards the output; the last layer has 1 (BEiT, https://arxiv.org/abs/2106.08254,
            appendix; timm knows the layers of its models). The head's scale is always 1.
    """
    exempt = getattr(model.backbone, "no_weight_decay", set)()
    if layer_decay < 1:
        backbone = param_groups_layer_decay(model.backbone, weight_decay, exempt, layer_decay=layer_decay)
    else:
        backbone = param_groups_weight_decay(model.backbone, weight_decay, no_weight_decay_list=exempt)
    head = param_groups_weight_decay(model.head, weight_decay)
    parts = [("backbone", group) for group in backbone] + [("head", group) for group in head]
    return [{"part": part, "lr_scale": 1.0, **group} for part, group in parts]


def set_learning_rates(optimizer: torch.optim.Optimizer, params: TrainingParams, progress: float) -> None:
    """Set `lr` times the layer's scale for the backbone, `head_lr` for the head, both times the share at `progress`."""
    share = learning_rate_share(params, progress)
    for group in optimizer.param_groups:
        group["lr"] = share * (params.head_lr if group["part"] == "head" else params.lr * group["lr_scale"])
