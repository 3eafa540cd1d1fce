"""Where does the generator lose a finding? An independent detector scores every rung.

    PYTHONPATH=src python -m benchmarks.fidelity_ladder

Run it after the default pipeline, in its folder. Rungs: original test images, their reconstructions by the autoencoder,
images of common findings drawn by the base, images of tail findings drawn by the fine-tuned generator. On each rung the
detector (data/assets/phantom_detector, which never decides about acceptance) scores images with the finding against
images without it: AUC per finding. Writes benchmarks/results/fidelity_ladder.json and docs/figures/fidelity_ladder.png.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from benchmarks.report import ratio_row, write_results
from matplotlib.figure import Figure

from trcgl.artifacts.pixels import resized
from trcgl.artifacts.shards import ShardedImages
from trcgl.artifacts.vocabulary import phrases
from trcgl.classifier.network.model import Classifier
from trcgl.classifier.network.predict import predict
from trcgl.config import Params, load_params
from trcgl.diffusion.generator.base import as_input, load_pipeline
from trcgl.diffusion.generator.prompts import prompts_of
from trcgl.diffusion.generator.rows import TrainingRows, class_names, labelled_rows
from trcgl.diffusion.generator.solver import use_solver
from trcgl.diffusion.generator.wording import Wording
from trcgl.diffusion.sampling.sample import as_uint8, denoise, initial_noise
from trcgl.metrics import area_under_roc
from trcgl.numerics.seeding import seed_of
from trcgl.runtime.figures import save_figure
from trcgl.runtime.files import read_json

RESULT, PICTURE = Path("benchmarks/results/fidelity_ladder.json"), Path("docs/figures/fidelity_ladder.png")
COMMAND = "PYTHONPATH=src python -m benchmarks.fidelity_ladder"
DETECTOR, MODEL, SYNTHETIC = Path("data/assets/phantom_detector"), Path("data/models/diffusion"), Path("data/synthetic")
RUNGS = ("originals", "reconstructions", "base, common findings", "fine-tuned, tail findings")
BATCH = 16


@torch.no_grad()
def reconstructions(pipeline: Any, pixels: np.ndarray) -> np.ndarray:
    """uint8 [N, S, S] -> through the autoencoder -> uint8 [N, S, S]."""
    parts = []
    for start in range(0, len(pixels), BATCH):
        images = as_input(torch.from_numpy(pixels[start : start + BATCH]), 3)
        decoded = pipeline.vae.decode(pipeline.vae.encode(images).latent_dist.mode()).sample.mean(dim=1)
        parts.append(((decoded.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).numpy())
    return np.concatenate(parts)


@torch.no_grad()
def drawn_by_base(pipeline: Any, rows: TrainingRows, prompts: list[str], params: Params) -> np.ndarray:
    """One image per prompt, uint8 [N, S, S], with the sampler's own settings."""
    use_solver(pipeline)
    parts = []
    for start in range(0, len(prompts), BATCH):
        part = slice(start, start + BATCH)
        positive, negative = pipeline.encode_prompt(prompts[part], pipeline.unet.device, 1, True)
        noise = initial_noise(pipeline, [seed_of("ladder", name) for name in rows.images[part]])
        parts.append(as_uint8(denoise(pipeline, positive, negative, noise, params.sampling)))
    return np.concatenate(parts)


def auc_per_finding(
    model: Classifier, pixels: np.ndarray, targets: np.ndarray, findings: list[str]
) -> dict[str, float]:
    """AUC per finding, NaN without positives or negatives; targets [N, len(findings)] of 1, 0 and NaN."""
    scores = predict(model, resized(pixels, model.config.image_size))
    columns = [model.config.class_names.index(name) for name in findings]
    return {
        name: area_under_roc(targets[:, k], scores[:, column])
        for k, (name, column) in enumerate(zip(findings, columns, strict=True))
    }


def synthetic_auc(model: Classifier, real: np.ndarray, targets: np.ndarray, findings: list[str]) -> dict[str, float]:
    """Every drawn image of a finding, accepted or not, against real images known to be without the finding."""
    samples = pd.read_parquet(SYNTHETIC / "samples.parquet")
    shards = ShardedImages(SYNTHETIC)
    measured = {}
    for finding, part in samples.groupby("target"):
        column = findings.index(str(finding))
        without = real[targets[:, column] == 0]
        pixels = np.concatenate([resized(shards.read(part["sample"].tolist()), real.shape[-1]), without])
        labels = np.repeat([1.0, 0.0], [len(part), len(without)])[:, None]
        measured |= auc_per_finding(model, pixels, labels, [str(finding)])
    return measured


def ladder(params: Params, base_images: int) -> pd.DataFrame:
    """AUC, one row per finding and one column per rung; NaN where a rung does not show the finding."""
    classes = read_json("data/labels/classes.json")
    findings, tail = class_names(classes), class_names(classes, "tail")
    images = ShardedImages("data/images/diffusion")
    table = pd.read_parquet("data/labels/labels.parquet")
    available = list(images.index["image"])
    test = table[(table["split"] == "test") & table["image"].isin(available)]
    targets = test[findings].to_numpy(dtype=np.float32, na_value=np.nan)
    pixels = images.read(test["image"].tolist())
    detector = Classifier.load(DETECTOR)
    pipeline = load_pipeline(str(params.diffusion.base), None, size=images.size, dtype=torch.float32)

    # What the base was trained on: common findings alone
    rows = labelled_rows(table, classes, available, "val")
    common = [i for i, present in enumerate(rows.findings) if not set(present) & set(tail)][:base_images]
    rows = TrainingRows(
        tuple(rows.images[i] for i in common),
        tuple(rows.patients[i] for i in common),
        tuple(rows.projections[i] for i in common),
        tuple(rows.patient_words[i] for i in common),
        tuple(rows.findings[i] for i in common),
        tuple(rows.unknown[i] for i in common),
        {},
        np.empty(0, int),
    )
    named = phrases(findings, params.labels.vocabulary)
    drawn = drawn_by_base(pipeline, rows, prompts_of(rows, Wording.of(params.diffusion), named), params)
    asked = np.array([[name in present for name in findings] for present in rows.findings], dtype=np.float32)

    columns = (
        auc_per_finding(detector, pixels, targets, findings),
        auc_per_finding(detector, reconstructions(pipeline, pixels), targets, findings),
        auc_per_finding(detector, drawn, asked, findings),
        synthetic_auc(detector, pixels, targets, findings),
    )
    frame = pd.DataFrame(dict(zip(RUNGS, columns, strict=True)), index=pd.Index(findings, name="finding"))
    frame.insert(0, "group", [entry["group"] for entry in classes["classes"]])
    return frame


def draw(frame: pd.DataFrame, path: Path) -> None:
    """One line per finding over the rungs that show it; tail findings in colour."""
    figure = Figure(figsize=(9, 5), layout="constrained")
    axis = figure.subplots()
    for finding, line in frame.iterrows():
        values = line[list(RUNGS)].astype(float)
        known = values.notna().to_numpy()
        style: dict[str, Any] = {"color": "0.75", "linewidth": 1}
        if line["group"] == "tail":
            style = {"linewidth": 2, "marker": "o", "label": finding}
        axis.plot(np.arange(len(RUNGS))[known], values[known], **style)
    axis.axhline(0.5, color="black", linestyle=":", linewidth=1)
    axis.set_xticks(range(len(RUNGS)), RUNGS)
    axis.set_ylabel("AUC of the independent detector")
    axis.set_title("Where a finding is lost (grey: common findings)")
    axis.legend(loc="lower left", fontsize=8)
    save_figure(figure, path, tight=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base-images", type=int, default=400, help="images that the base draws")
    options = parser.parse_args()
    params = load_params("params.yaml")
    torch.set_num_threads(params.compute.threads)
    frame = ladder(params, options.base_images)
    originals, rebuilt, _, drawn = (frame[name] for name in RUNGS)
    print(frame.round(3).to_string())
    rebuilt_share, drawn_share = rebuilt / originals, (drawn / originals).dropna()
    rows = []
    for what, share, least in (("reconstructions", rebuilt_share, 0.97), ("synthetic images", drawn_share, 0.85)):
        for name, ratio in share.items():
            peer = originals.loc[str(name)]
            rows.append(ratio_row(f"{what} against originals, {name}", ratio * peer, peer, least, "AUC", COMMAND))
    write_results(RESULT, rows)
    draw(frame, PICTURE)
    print(f"lowest reconstruction: {rebuilt_share.min():.3f} ({rebuilt_share.idxmin()}); goal 0.97")
    print(f"synthetic at 0.85 or more: {int((drawn_share >= 0.85).sum())} of {len(drawn_share)} tail findings")


if __name__ == "__main__":
    main()
