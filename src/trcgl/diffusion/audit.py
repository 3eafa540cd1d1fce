"""Which synthetic images may be trained on: the target finding must be there, and no image may be a copy.

The judge is the baseline classifier, trained on real images only. A copy is nearer to a training image than real
images of different patients ever are to each other.
"""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from trcgl.classifier.data import resized
from trcgl.classifier.model import Classifier
from trcgl.classifier.predict import predict
from trcgl.config import AuditParams
from trcgl.evaluation.plots import sample_pairs, save_figure
from trcgl.images.shards import ShardedImages
from trcgl.runtime.seeding import rng

COPY = "copy of a training image"
NOT_SEEN = "target finding not seen"

COMPARED_SIZE = 32
"""Side in pixels at which images are compared: fine enough for anatomy, coarse enough to forgive noise."""
REFERENCE_IMAGES = 2000
"""Real images that set the distance threshold: a percentile needs no more."""


def normalised_vectors(images: np.ndarray) -> np.ndarray:
    """Unit vectors whose dot product is the correlation of two images, exposure and contrast removed.

    Args:
        images: uint8 [N, S, S].

    Returns:
        float32 [N, COMPARED_SIZE ** 2].
    """
    size = (COMPARED_SIZE, COMPARED_SIZE)
    vectors = np.empty((len(images), COMPARED_SIZE**2), dtype=np.float32)
    for i, image in enumerate(images):
        vectors[i] = cv2.resize(image, size, interpolation=cv2.INTER_AREA).ravel()
    vectors -= vectors.mean(axis=1, keepdims=True)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)


def nearest(vectors: np.ndarray, references: np.ndarray, *, chunk: int = 8192) -> tuple[np.ndarray, np.ndarray]:
    """Nearest reference of each vector.

    Returns:
        distance float32 [N] (1 - correlation, 0..2) and index int64 [N]; distance is inf without references.
    """
    best = np.full(len(vectors), -np.inf, dtype=np.float32)
    index = np.full(len(vectors), -1, dtype=np.int64)
    for start in range(0, len(references), chunk):
        correlation = vectors @ references[start : start + chunk].T
        place = correlation.argmax(axis=1)
        value = correlation[np.arange(len(vectors)), place]
        better = value > best
        best[better], index[better] = value[better], place[better] + start
    return 1 - best, index


def copy_threshold(real: np.ndarray, patients: np.ndarray, percentile: float) -> float:
    """Distance below which an image is called a copy: a low percentile of real images' distances to other patients.

    Args:
        real: [N, D] from `normalised_vectors`, a sample of training images.
        patients: [N].
    """
    correlation = real @ real.T
    correlation[patients[:, None] == patients[None, :]] = -np.inf
    distances = 1 - correlation.max(axis=1)
    distances = distances[np.isfinite(distances)]
    return float(np.percentile(distances, percentile)) if len(distances) else 0.0


def finding_thresholds(
    validation_scores: pd.DataFrame, validation_labels: pd.DataFrame, percentile: float
) -> dict[str, float]:
    """Per finding, the judge's score that all but `percentile` % of real validation positives exceed.

    Args:
        validation_scores, validation_labels: [N, C] with the same columns; labels 1, 0 or missing.

    Returns:
        finding -> threshold; a finding without validation positives is left out: there is nothing to judge by.
    """
    thresholds = {}
    for finding in map(str, validation_scores.columns):
        positive = (validation_labels[finding] == 1).fillna(False).to_numpy(dtype=bool)
        if positive.any():
            thresholds[finding] = float(np.percentile(validation_scores[finding].to_numpy()[positive], percentile))
    return thresholds


def judge_samples(
    samples: pd.DataFrame,
    target_scores: np.ndarray,
    thresholds: dict[str, float],
    distances: np.ndarray,
    nearest_images: np.ndarray,
    threshold_distance: float,
) -> pd.DataFrame:
    """Decide sample by sample.

    Args:
        samples: sample, target, in the order of the arrays.
        target_scores: [N] the judge's probability of each sample's own target.
        thresholds: from `finding_thresholds`.
        distances, nearest_images: [N] distance to, and name of, the nearest training image.
        threshold_distance: from `copy_threshold`.

    Returns:
        sample, target, accepted, reason ("" when accepted), target_score, target_threshold (missing where the finding
        could not be judged), distance, nearest.
    """
    target_threshold = samples["target"].map(thresholds).astype("float64").to_numpy()
    missing_finding = target_scores < np.where(np.isnan(target_threshold), -np.inf, target_threshold)
    is_copy = distances < threshold_distance
    reason = np.select([is_copy, missing_finding], [COPY, NOT_SEEN], "")
    return pd.DataFrame(
        {
            "sample": samples["sample"].to_numpy(),
            "target": samples["target"].to_numpy(),
            "accepted": reason == "",
            "reason": pd.Series(reason, dtype="str"),
            "target_score": target_scores.astype(np.float64),
            "target_threshold": target_threshold,
            "distance": distances.astype(np.float64),
            "nearest": nearest_images,
        }
    )


def audit_synthetic(synthetic: Path, images: Path, labels: Path, judge: Path, params: AuditParams) -> pd.DataFrame:
    """Judge every sample in a folder of synthetic images.

    Args:
        synthetic: shards with samples.parquet.
        images: shards of the real images at the classifier's size.
        labels: labels.parquet; training rows are compared with, validation rows set the judge's thresholds.
        judge: folder of a classifier trained on real images only.

    Returns:
        See `judge_samples`; empty with the same columns for an empty set.
    """
    samples = pd.read_parquet(synthetic / "samples.parquet")
    real, drawn = ShardedImages(images), ShardedImages(synthetic)
    rows = pd.read_parquet(labels)
    rows = rows[rows["image"].isin(real.index["image"])]
    if samples.empty:
        nothing = np.empty(0)
        return judge_samples(samples, nothing, {}, nothing, np.empty(0, dtype=object), 0.0)
    model = Classifier.load(judge)
    findings = list(model.config.class_names)

    validation = rows[rows["split"] == "val"]
    scores = predict(model, real.read(validation["image"].tolist()))
    thresholds = finding_thresholds(
        pd.DataFrame(scores, columns=findings), validation[findings].reset_index(drop=True), params.min_percentile
    )
    pixels = resized(drawn.read(samples["sample"].tolist()), real.size)
    target_scores = predict(model, pixels)[np.arange(len(samples)), [findings.index(t) for t in samples["target"]]]

    training = rows[rows["split"] == "train"]
    references = normalised_vectors(real.read(training["image"].tolist()))
    part = rng("audit references").permutation(len(training))[:REFERENCE_IMAGES]
    limit = copy_threshold(references[part], training["patient"].to_numpy()[part], params.duplicate_percentile)
    distances, index = nearest(normalised_vectors(pixels), references)
    return judge_samples(
        samples, target_scores, thresholds, distances, training["image"].to_numpy(dtype=object)[index], limit
    )


def audit_metrics(audit: pd.DataFrame, tail: list[str]) -> dict[str, float | int]:
    """The scalars of metrics/synthetic.json."""
    drawn = len(audit)
    per_finding = audit.groupby("target")["accepted"].mean()
    return {
        "drawn": drawn,
        "accepted": int(audit["accepted"].sum()),
        "rejected_copy": int((audit["reason"] == COPY).sum()),
        "rejected_finding": int((audit["reason"] == NOT_SEEN).sum()),
        "acceptance": float(audit["accepted"].mean()) if drawn else float("nan"),
        "lowest_acceptance": float(per_finding.min()) if drawn else float("nan"),
        "tail_findings": len(tail),
    }


def synthetic_card(audit: pd.DataFrame, tail: list[str], params: AuditParams) -> str:
    """Markdown: what was drawn, what was accepted, why the rest was not, finding by finding."""
    lines = [
        "# Data card: synthetic images",
        "",
        f"{len(audit)} images were drawn for {len(tail)} tail findings; {int(audit['accepted'].sum())} were accepted. "
        "They enter training only, never validation or test. Not for diagnosis.",
        "",
        "An image is rejected as a copy when its nearest training image is nearer than "
        f"{params.duplicate_percentile:g} % of real images are to another patient's (1 - correlation at "
        f"{COMPARED_SIZE} px), and as lacking its finding when the baseline classifier, trained on real images only, "
        f"scores it below {params.min_percentile:g} % of the real validation positives. The judge is the weaker the "
        "rarer the finding: its opinion is no proof.",
        "",
        "| finding | drawn | accepted | copies | finding not seen | median score | threshold |",
        "|---|---|---|---|---|---|---|",
    ]
    for finding in tail:
        part = audit[audit["target"] == finding]
        numbers = (part["target_score"].median(), part["target_threshold"].min())
        shown = ["n/a" if pd.isna(number) else f"{number:.3f}" for number in numbers]
        counts = [len(part), int(part["accepted"].sum()), *(int((part["reason"] == r).sum()) for r in (COPY, NOT_SEEN))]
        lines.append(f"| {finding} | {' | '.join(map(str, counts))} | {' | '.join(shown)} |")
    return "\n".join([*lines, ""])


def draw_audit(audit: pd.DataFrame, synthetic: Path, images: Path, folder: Path) -> None:
    """For each target the best, the median and the worst judged sample beside its nearest training image."""
    chosen = []
    for _, part in audit.groupby("target", sort=True):
        ranked = part.sort_values(["target_score", "sample"], ascending=[False, True])
        chosen += [ranked.iloc[place] for place in sorted({0, len(ranked) // 2, len(ranked) - 1})]
    if not chosen:
        return
    real, drawn = ShardedImages(images), ShardedImages(synthetic)
    left = resized(drawn.read([row["sample"] for row in chosen]), real.size)
    right = real.read([row["nearest"] for row in chosen])
    titles = [
        f"{row['target']} {row['target_score']:.2f}: {row['reason'] or 'accepted'}\nnearest at {row['distance']:.3f}"
        for row in chosen
    ]
    save_figure(sample_pairs(list(left), list(right), titles, columns=3), folder / "nearest_training_images.png")
