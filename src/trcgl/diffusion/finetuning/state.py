"""What changes from step to step while a phase is trained."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from diffusers.training_utils import EMAModel
from torch import Tensor, nn

from trcgl.diffusion.finetuning.phase import Phase
from trcgl.numerics.device import fp32_or
from trcgl.runtime.errors import InputError, some_of


def trainable(modules: Sequence[nn.Module]) -> dict[str, nn.Parameter]:
    """Parameters that get gradients, by a name that is unique over `modules`."""
    return {
        f"{i}.{name}": parameter
        for i, module in enumerate(modules)
        for name, parameter in module.named_parameters()
        if parameter.requires_grad and parameter.numel()
    }


@torch.no_grad()
def put_back(weights: Mapping[str, nn.Parameter], kept: Mapping[str, Tensor]) -> None:
    """Copy the kept values into the weights."""
    for name, weight in weights.items():
        weight.copy_(kept[name])


def restore_average(average: EMAModel, state: dict[str, Any], device: torch.device) -> None:
    """Load the kept state, whose tensors are on the CPU, and move it to `device`. An optimiser would move it itself."""
    average.load_state_dict(state)
    average.to(device=device)


class TrainingState:
    """The current state of a phase.

    Saved: the next step, the trainable weights and their average, the optimiser, the loss scaler of float16, and the
    losses since the last row of the curve. Not saved: learning rates and random numbers, which follow from the step;
    gradient norms, which are always checked before a state is saved; frozen weights, which do not change.

    Attributes:
        weights: the trainable weights, by name.
        step: the next step, from 0.
    """

    def __init__(self, phase: Phase[Any], weights: dict[str, nn.Parameter]):
        self.weights, self.step = weights, 0
        self.flat = list(weights.values())
        self.device = self.flat[0].device
        kind = self.device.type
        self.optimizer: Any = torch.optim.AdamW(phase.groups, betas=(0.9, 0.99), fused=kind in ("cpu", "cuda"))
        self.scaler = torch.amp.GradScaler(kind, enabled=phase.dtype == torch.float16)
        self.average = EMAModel(self.flat, decay=phase.ema_decay, foreach=True) if phase.ema_decay else None
        self._peaks = [group["lr"] for group in self.optimizer.param_groups]
        # Kept on the device, because reading a number at every step would make the CPU wait for the device
        self._losses: list[Tensor] = []
        self._norms: list[Tensor] = []

    def saved(self) -> dict[str, Any]:
        """The state that a ResumePoint keeps."""
        return {
            "step": self.step,
            "weights": self._copied(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "average": self.average.state_dict() if self.average else None,
            "losses": torch.stack(self._losses) if self._losses else torch.empty(0),
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """Continue from a state that `saved` returned."""
        put_back(self.weights, saved["weights"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.scaler.load_state_dict(saved["scaler"])
        if self.average:
            restore_average(self.average, saved["average"], self.device)
        self.step, self._losses = saved["step"], list(saved["losses"].to(self.device).unbind())

    def finish(self) -> dict[str, Tensor]:
        """Copy the average, if there is one, into the weights, and return a copy of the final weights."""
        if self.average:
            self.average.copy_to(self.flat)
        return self._copied()

    def _copied(self) -> dict[str, Tensor]:
        return {name: weight.detach().cpu().clone() for name, weight in self.weights.items()}

    def set_learning_rates(self, factor: float) -> None:
        """Set each group's learning rate to `factor` times its peak."""
        for group, peak in zip(self.optimizer.param_groups, self._peaks, strict=True):
            group["lr"] = peak * factor

    def add(self, loss: Tensor, norm: Tensor) -> None:
        """Count a finished step, with its loss and gradient norm."""
        self._losses.append(loss)
        # The float16 scaler also tries scales that are too large and skips these steps: a norm may then be infinite
        self._norms.append(loss if self.scaler.is_enabled() else norm)
        self.step += 1

    def mean_loss(self) -> float:
        """Mean loss over the steps since the last call."""
        losses, self._losses = self._losses, []
        return round(float(torch.stack(losses).float().cpu().mean()), 6)

    def stop_unless_finite(self, phase: Phase[Any]) -> None:
        """Check the losses and gradient norms of the steps since the last check.

        Raises:
            InputError: one is not finite; the message names the phase, the step and the first images of the step.
        """
        norms, self._norms = self._norms, []
        losses = self._losses[-len(norms) :]
        values = torch.stack([torch.stack(losses).float(), torch.stack(norms).float()]).cpu()
        bad = (~values.isfinite()).any(dim=0).nonzero().flatten().tolist()
        if not bad:
            return
        step = self.step - len(losses) + bad[0]
        loss, norm = values[:, bad[0]].tolist()
        what = f"its gradient's norm is {norm}" if math.isfinite(loss) else f"its loss is {loss}"
        # Step 0 still uses the given weights, so the learning rate cannot be the cause
        otherwise = f"lower {' and '.join(map(repr, phase.lr_keys))}" if step else "give another base"
        raise InputError(
            f"step {step} of phase '{phase.name}' went wrong{'' if step else ' before any training'}: {what}; "
            f"{fp32_or(phase.dtype, otherwise)}; images of the step: {some_of(phase.images_of(step))}"
        )
