"""What the heads cost: a step forward and backward with each, against the same backbone with a linear head.

    PYTHONPATH=src python -m benchmarks.head_cost

The backbone computes the same under every head, so it is timed alone, and so is each head on its map (forward, and
backward into the map): the ratio is that of the sums. If both were timed as a whole, the noise of a shared machine
would hide the difference. The floor is the backbone. 174 findings, as PadChest has; float32; CPU time of all threads.
"""

from pathlib import Path

import torch
from benchmarks.report import Row, print_rows, rounds_row, write_results
from benchmarks.timing import take_turns
from torch import Tensor, nn

from trcgl.classifier.network.backbone import create_backbone, feature_maps
from trcgl.classifier.network.heads.build import build_head
from trcgl.config import load_params
from trcgl.graph.adjacency import paper_adjacency
from trcgl.numerics.seeding import rng

RESULT = Path("benchmarks/results/head_cost.json")
COMMAND = "PYTHONPATH=src python -m benchmarks.head_cost"
CLASSES = 174
BACKBONES = (("resnet50", 224, 4, 1.05), ("convnextv2_base", 224, 2, 1.05), ("tf_efficientnet_lite0", 128, 16, 1.15))
HEADS = ("trcgl", "trcgl_paper")
STRENGTHS = {
    "gate_strength": 0.05,
    "gate_reduction": 16,
    "attention_strength": 0.1,
    "graph_strength": 0.05,
    "label_embedding": 256,
    "graph_dropout": 0.1,
}


def adjacency() -> Tensor:
    conditional = rng("conditional").uniform(0, 0.1, (CLASSES, CLASSES)) ** 2 * 10
    return torch.from_numpy(paper_adjacency(conditional, 0.02)).float()


def head_of(name: str, features: int) -> nn.Module:
    options = {} if name == "linear" else dict(STRENGTHS)
    if name == "trcgl":
        options["attention_temperature"] = 1.0
    return build_head(name, features, CLASSES, options, None if name == "linear" else adjacency())


def costs(backbone_name: str, size: int, batch: int, most: float, rounds: int) -> list[Row]:
    torch.manual_seed(0)
    backbone = create_backbone(backbone_name, {}).to(memory_format=torch.channels_last).train()
    images = torch.randn(batch, 1, size, size)
    maps = feature_maps(backbone, images).detach().requires_grad_()
    heads = {name: head_of(name, maps.shape[1]).train() for name in ("linear", *HEADS)}
    again = 10

    def alone(head: nn.Module) -> None:
        for _ in range(again):
            head(maps)[0].square().mean().backward()

    def bare() -> None:
        feature_maps(backbone, images).mean((2, 3)).square().mean().backward()

    timed = take_turns({"bare": bare, **{name: lambda head=head: alone(head) for name, head in heads.items()}},
                       rounds=rounds)  # fmt: skip
    seconds = {name: values / (1 if name == "bare" else again) for name, values in timed.seconds.items()}
    linear = seconds["bare"] + seconds["linear"]
    rows = []
    for name in HEADS:
        rows.append(
            rounds_row(
                f"step of {backbone_name} at {size} px, batch {batch}, with head {name}, against the linear head",
                seconds["bare"] + seconds[name],
                linear,
                floor=timed.median("bare"),
                unit="CPU s",
                most=most,
                command=COMMAND,
            )
        )
    return rows


def main() -> None:
    torch.set_num_threads(load_params("params.yaml").compute.threads)
    rows = [row for backbone in BACKBONES for row in costs(*backbone, rounds=5)]
    print_rows(rows)
    write_results(RESULT, rows)


if __name__ == "__main__":
    main()
