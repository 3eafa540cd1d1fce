"""Work that processes training one model share: splitting batches, averaging gradients, predicting validation images.

Gradients are averaged in one message per step, instead of by torch's DistributedDataParallel. The phases freeze and
unfreeze the backbone, and a head may leave a parameter unused in a step; that wrapper would have to be configured for
both. Gradients are sent after the backward pass instead of during it.
"""

import numpy as np
import torch
from torch import Tensor, nn

from trcgl.classifier.network.model import Classifier
from trcgl.classifier.network.predict import predict
from trcgl.classifier.training.data import TrainingData
from trcgl.classifier.training.sections import lower_rates
from trcgl.numerics.device import fp32_or, name_of, pick_dtype
from trcgl.numerics.processes import Processes
from trcgl.runtime.errors import InputError

BATCH_STATISTICS = ("running_mean", "running_var")


def equal_part(batch: int, accumulate: int, processes: int, section: str) -> int:
    """Images of a batch that one process computes at once.

    Args:
        section: of the params file, for the message.

    Raises:
        InputError: the parts would not be equal; only the mean of equal parts' means is the mean over the batch.
    """
    parts = accumulate * processes
    if batch % parts:
        raise InputError(
            f"a batch of {batch} images does not divide into {parts} equal parts ('{section}.accumulate' {accumulate} "
            f"x processes {processes}); make '{section}.batch_size' a multiple of {parts}, and no larger than the "
            "number of training images"
        )
    return batch // parts


def gradients_and_statistics(model: nn.Module) -> list[Tensor]:
    """The tensors to average before a step: gradients, and statistics of BatchNorm layers in training mode."""
    found = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    for module in model.modules():
        if module.training:
            found += [value for name, value in module.named_buffers(recurse=False) if name in BATCH_STATISTICS]
    return found


def predict_together(
    model: Classifier, data: TrainingData, processes: Processes, *, batch_size: int, precision: str, section: str
) -> np.ndarray:
    """Probabilities float32 [len(data.val), C] of the validation images; each process computes a share of them.

    Args:
        section: of the params file, for the message.

    Raises:
        InputError: a probability is not finite.
    """
    mine = np.arange(processes.index, len(data.val), processes.count)
    found = torch.zeros(len(data.val), len(data.class_names), device=model.pixel_mean.device)
    rows = data.val[mine]
    scores = predict(model, data.images, rows=rows, batch_size=batch_size, precision=precision)
    found[torch.from_numpy(mine)] = torch.from_numpy(scores).to(found.device)
    processes.add(found)
    together = found.cpu().numpy()
    if not np.isfinite(together).all():
        dtype = pick_dtype(found.device, precision)
        raise InputError(
            f"the model's output on validation images is not finite ({name_of(dtype)}); "
            f"{fp32_or(dtype, lower_rates(section))}"
        )
    return together
