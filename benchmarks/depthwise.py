"""What our gradients of depthwise convolutions and ReLU6 save on a CPU: a backbone's training step against torch's own.

    PYTHONPATH=src python -m benchmarks.depthwise

Forward and backward of the same backbone in training mode, in float32 and, if it differs, in the precision that
`compute.precision: auto` picks here. The floor is twice the forward pass: a backward pass does at least as much work.
CPU time of all threads.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import timm
import torch
from benchmarks.report import Row, print_rows, rounds_row, write_results
from benchmarks.timing import take_turns
from torch import nn

from trcgl.classifier.network.backbone import create_backbone
from trcgl.config import load_params
from trcgl.numerics.device import pick_dtype

RESULT = Path("benchmarks/results/depthwise.json")
COMMAND = "PYTHONPATH=src python -m benchmarks.depthwise"
BACKBONES = (
    ("tf_efficientnet_lite0", {"output_stride": 16}, 128, 16),
    ("tf_efficientnet_lite0", {"output_stride": 16}, 224, 32),  # as at the scale cpu
    ("convnextv2_atto", {}, 128, 16),
)
ROUNDS = 5


def backbone_of(name: str, options: dict[str, Any], quick: bool) -> nn.Module:
    torch.manual_seed(0)
    if quick:
        backbone = create_backbone(name, options)
    else:
        backbone = timm.create_model(name, num_classes=0, global_pool="", in_chans=1, **options)
    return backbone.to(memory_format=torch.channels_last).train()


def costs(name: str, options: dict[str, Any], size: int, batch: int, dtype: torch.dtype) -> Row:
    images = torch.randn(batch, 1, size, size).to(memory_format=torch.channels_last)

    def forward(backbone: nn.Module) -> torch.Tensor:
        with torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32):
            return backbone(images).float().square().mean()

    def step(backbone: nn.Module) -> Callable[[], None]:
        return lambda: forward(backbone).backward()

    ours, torchs = backbone_of(name, options, quick=True), backbone_of(name, options, quick=False)
    rivals = {"ours": step(ours), "torch": step(torchs), "forward": lambda: forward(torchs)}
    timed = take_turns(rivals, rounds=ROUNDS)
    kind = str(dtype).removeprefix("torch.")
    return rounds_row(
        f"step of {name} at {size} px, batch {batch}, {kind}, against torch's own gradients",
        timed.seconds["ours"],
        timed.seconds["torch"],
        floor=2 * timed.median("forward"),
        unit="CPU s",
        most=1.0,
        command=COMMAND,
    )


def main() -> None:
    torch.set_num_threads(load_params("params.yaml").compute.threads)
    dtypes = dict.fromkeys((torch.float32, pick_dtype(torch.device("cpu"), "auto")))
    rows = [costs(*backbone, dtype) for backbone in BACKBONES for dtype in dtypes]
    print_rows(rows)
    write_results(RESULT, rows)


if __name__ == "__main__":
    main()
