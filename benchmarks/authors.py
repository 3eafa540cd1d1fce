"""Training images/s against the authors' public code, end to end from files, on a CPU.

    PYTHONPATH=src python -m benchmarks.authors --code FOLDER

FOLDER is a checkout of github.com/November-1113/TRCGL-Net (it needs albumentations 2.0.8). Its dataset, augmentation,
collation, model, loss and epoch run unchanged, with these exceptions: moves to CUDA and the all-reduce do nothing,
mixed precision is off (float32 for both), the backbone is another, and the loader has no worker processes, because CPU
time is compared. Ours is the trainer with head trcgl_paper and the same loss, batch and size; the cost of a run besides
its steps (building, validating) is removed by subtracting a shorter run. Both start from random weights. The floor is
forward and backward of that network on images at hand.
"""

import argparse
import importlib.util
import os
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import timm
import torch
from benchmarks.report import Row, print_rows, rounds_row, write_results
from benchmarks.timing import take_turns
from torch import Tensor

from trcgl.artifacts.pixels import StoredPixels
from trcgl.artifacts.shards import ShardedImages, ShardWriter
from trcgl.classifier.training.build import build_model, loss_of
from trcgl.classifier.training.data import TrainingData
from trcgl.classifier.training.train import train
from trcgl.config import load_params
from trcgl.graph.cooccurrence import count_cooccurrence
from trcgl.numerics.seeding import rng

RESULT = Path("benchmarks/results/authors.json")
COMMAND = "PYTHONPATH=src python -m benchmarks.authors --code FOLDER"
BACKBONE, SIZE, BATCH, STEPS, FEW = "tf_efficientnet_lite0", 128, 8, 6, 2
NAMES = tuple(f"finding {i}" for i in range(30))


def their_code(folder: Path, work: Path, *, on_cpu: bool = True) -> ModuleType:
    """CXR.py as a module that computes in one process: on the CPU in float32, on a GPU in its float16."""
    os.environ.update(RANK="0", LOCAL_RANK="0", WORLD_SIZE="1")
    text = (folder / "CXR.py").read_text(encoding="utf-8")
    place = work / "CXR.py"
    # It creates this folder when it is loaded
    place.write_text(text.replace('CHECKPOINT_DIR = "/home', f'CHECKPOINT_DIR = "{work}/home'), encoding="utf-8")
    spec = importlib.util.spec_from_file_location("CXR", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if on_cpu:
        Tensor.cuda = lambda self, *_, **__: self  # pyright: ignore[reportAttributeAccessIssue]
    changes: dict[str, Any] = {
        "AMP_ENABLED": not on_cpu,
        "reduce_tensor": lambda tensor: tensor.detach().clone(),
        "REAL_NPY_DIR": str(work),
    }
    for name, value in changes.items():
        setattr(module, name, value)
    return module


def their_epoch(
    code: ModuleType, work: Path, pixels: np.ndarray, targets: np.ndarray, backbone: str, batch: int, workers: int
) -> Any:
    """A call that trains one epoch on the images, uint8 [n, S, S] with targets [n or more, C], from files."""
    names = [f"finding {i}" for i in range(targets.shape[1])]
    for i, image in enumerate(pixels):
        np.save(work / f"{i}.png.npy", np.repeat(image[:, :, None], 3, axis=2))
    frame = pd.DataFrame(targets[: len(pixels)], columns=names)
    frame.insert(0, "ImageID", [f"{i}.png" for i in range(len(frame))])
    frame["synthetic"] = False
    dataset = code.PadChestDataset(frame, names, str(work), str(work), augment=True, img_size=pixels.shape[-1])
    loader = torch.utils.data.DataLoader(
        dataset, batch_size=batch, shuffle=True, collate_fn=code.fast_collate_fn, drop_last=True, num_workers=workers,
        pin_memory=workers > 0,
    )  # fmt: skip
    adjacency = code.build_label_adjacency(
        train_df=frame, class_names=names, smooth=code.COOC_SMOOTH, threshold=code.COOC_THRESHOLD,
        self_loop=code.COOC_SELF_LOOP,
    )  # fmt: skip
    create = timm.create_model
    code.timm.create_model = lambda _, **options: create(backbone, **{**options, "drop_path_rate": 0.0})
    model = code.ConvNeXtV2Classifier(len(names), adjacency).cuda().to(memory_format=torch.channels_last)
    code.timm.create_model = create
    average = code.ModelEmaV2(model, decay=code.EMA_DECAY)
    optimizer = torch.optim.AdamW(model.parameters(), lr=code.BACKBONE_LR, weight_decay=0.01, eps=1e-5)
    loss = code.DistributionBalancedLoss(targets.sum(0)).cuda()
    scaler = torch.amp.GradScaler("cuda", enabled=code.AMP_ENABLED)
    return lambda: code.train_epoch(model, average, loader, loss, optimizer, scaler, 1)


def ours(work: Path, pixels: np.ndarray, targets: np.ndarray) -> tuple[Callable[[int], object], Callable[[], None]]:
    """A call that trains a number of steps, and one that does `STEPS` forward and backward passes of its network."""
    folder = work / "shards"
    folder.mkdir()
    writer, names = ShardWriter(folder, SIZE, 4096), [f"{i}.png" for i in range(len(pixels))]
    for name, image in zip(names, pixels, strict=True):
        writer.add(name, image)
    writer.close()
    params = load_params("params.yaml")
    classifier = replace(
        params.classifier, backbone=BACKBONE, backbone_options={}, head="trcgl_paper", loss="effective_number_margin",
        epochs=1, warmup_epochs=0.0, batch_size=BATCH, extra_source="none",
    )  # fmt: skip
    held_out = BATCH
    data = TrainingData(
        images=StoredPixels(ShardedImages(folder), names),
        targets=targets, names=names, train=np.arange(held_out, len(names)), val=np.arange(held_out),
        class_names=NAMES, class_groups=("head",) * len(NAMES),
    )  # fmt: skip
    counts = count_cooccurrence(targets, NAMES, 1.0)
    compute = replace(params.compute, device="cpu", precision="fp32")
    network = build_model(classifier, data, counts).to(memory_format=torch.channels_last).train()
    loss, wanted = loss_of(classifier, data), torch.from_numpy(targets[:BATCH])
    images = torch.from_numpy(pixels[:BATCH]).unsqueeze(1).float() / 255

    def passes() -> None:
        for _ in range(STEPS):
            network.zero_grad(set_to_none=True)
            loss(network(images)[0], wanted, torch.ones(BATCH)).backward()

    return lambda steps: train(classifier, data, compute, cooccurrence=counts, steps_per_epoch=steps), passes


def measured(code: Path, work: Path, rounds: int) -> Row:
    draw = rng("authors")
    images = 256
    pixels = draw.integers(0, 256, (images, SIZE, SIZE), dtype=np.uint8)
    targets = (draw.random((images, len(NAMES))) < 0.1).astype(np.float32)
    ours_for, passes = ours(work, pixels, targets)
    peer = their_epoch(their_code(code, work), work, pixels[: STEPS * BATCH], targets, BACKBONE, BATCH, workers=0)
    timed = take_turns(
        {"long": lambda: ours_for(FEW + STEPS), "peer": peer, "short": lambda: ours_for(FEW), "network": passes},
        rounds=rounds,
    )
    seconds = timed.seconds["long"] - timed.seconds["short"]
    return rounds_row(
        f"training images/s of {BACKBONE} at {SIZE} px, batch {BATCH}, against the authors' code",
        STEPS * BATCH / seconds,
        STEPS * BATCH / timed.seconds["peer"],
        floor=STEPS * BATCH / timed.median("network"),
        unit="images per CPU s",
        least=1.3,
        command=COMMAND,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--code", type=Path, required=True, help="a checkout of the authors' repository")
    options = parser.parse_args()
    torch.set_num_threads(load_params("params.yaml").compute.threads)
    with tempfile.TemporaryDirectory() as work:
        rows = [measured(options.code, Path(work), 5)]
    print_rows(rows)
    write_results(RESULT, rows)


if __name__ == "__main__":
    main()
