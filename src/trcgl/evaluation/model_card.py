"""The model card that `evaluate` writes: the model and its training data, its results with intervals, its limits."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from trcgl.classifier.network.model import ModelConfig
from trcgl.classifier.network.scaling import Scaling
from trcgl.evaluation.compare import OURS, REFERENCE
from trcgl.metrics import tail_map_at_prevalence
from trcgl.runtime.errors import some_of


def model_card(
    metrics: dict[str, Any],
    per_class: pd.DataFrame,
    config: ModelConfig,
    *,
    dataset: str,
    test_images: int,
    test_patients: int,
    scalings: Mapping[str, Scaling],
) -> str:
    """Markdown text.

    Args:
        metrics: content of metrics/metrics.json.
        per_class: content of metrics/per_class.csv.
        config: of the classifier.
        dataset: `dataset.name`.
        scalings: of the classifier's logits.
    """
    return "\n".join(
        [
            "# Model card: TRCGL-Net classifier",
            "",
            f"Multi-label classifier of {len(config.class_names)} findings in chest X-rays, trained on the data set "
            f"`{dataset}`, on real images {_besides(config)}.{_places(config)} Research use only: "
            "**not for diagnosis**.",
            "",
            "## Model",
            "",
            f"- Backbone `{config.backbone}`, head `{config.head}`, {config.image_size} px.",
            "- Input: one grey image, percentile-windowed to 8 bit. Output: a probability and a threshold per finding, "
            "and a map per finding.",
            "",
            "## Data",
            "",
            "Train, validation and test are disjoint by patient (where the label table names no patient, each image "
            "counts as one). Thresholds and the epoch were chosen on validation images; the numbers below are from "
            f"{test_images} test images of {test_patients} patients, on which this run chose nothing.",
            "",
            "## Results on the test split",
            "",
            *_means(metrics, per_class, len(config.class_names)),
            "",
            *_findings(per_class),
            "",
            "## Limits",
            "",
            *(
                ["- The images are phantoms: nothing here says anything about patients."]
                if dataset == "phantom"
                else []
            ),
            "- Probabilities are calibrated to the prevalence and devices of the training data; check them elsewhere.",
            *_untuned(scalings),
            "- Thresholds give the best F1 at the prevalence of the validation images. Where a finding is rarer than "
            "there, fewer of the images above its threshold show it.",
            "- Labels may come from reports by text mining; errors in them are learned.",
            "- Synthetic images are in the training part only; their audit is in metrics/synthetic_card.md.",
            "",
        ]
    )


def _means(metrics: dict[str, Any], per_class: pd.DataFrame, findings: int) -> list[str]:
    """Both models' means, their difference, and what the means leave out."""
    gain = metrics["gain"]
    tail = {model: tail_map_at_prevalence(per_class[per_class["model"] == model]) for model in (REFERENCE, OURS)}
    keys = ["mAP", "head_mAP", "medium_mAP", "tail_mAP", "mAUC", "mF1", "ECE"]
    return [
        f"| | {' | '.join(keys)} |",
        f"|---|{'---|' * len(keys)}",
        *(f"| {model} | {' | '.join(_number(metrics[model][key]) for key in keys)} |" for model in (REFERENCE, OURS)),
        "",
        f"Paired difference to the baseline: mAP {_number(gain['mAP'], signed=True)}, tail mAP "
        f"{_number(gain['tail_mAP'], signed=True)} "
        f"(95 % interval over patients {_number(gain['tail_mAP_low'], signed=True)} to "
        f"{_number(gain['tail_mAP_high'], signed=True)}); one training seed, so the interval does not cover the "
        "variation between trainings. It is the difference of all in which the two differ (head, extra images, boxes), "
        "not of one part.",
        "",
        f"{metrics['scored_classes']} of {findings} findings have positives and negatives in the test "
        "split; the others have no AP and are left out of the means. ECE is weighted back to the training prevalence. "
        "AP is not, and differs where the test images hold more of rare findings: weighted back likewise, tail mAP "
        f"is {_number(tail[OURS])} ({REFERENCE}: {_number(tail[REFERENCE])}).",
    ]


def _findings(per_class: pd.DataFrame) -> list[str]:
    """Our model's table per finding."""
    lines = ["| finding | group | positives | AP | AUC | F1 | threshold |", "|---|---|---|---|---|---|---|"]
    for row in per_class[per_class["model"] == OURS].to_dict("records"):
        numbers = " | ".join(_number(row[key]) for key in ("AP", "AUC", "F1", "threshold"))
        name = str(row["class"]).replace("|", "\\|")
        lines.append(f"| {name} | {row['group']} | {row['positives']} | {numbers} |")
    return lines


def _besides(config: ModelConfig) -> str:
    if not config.extra_images:
        return "alone"
    kind = {"synthetic": "accepted synthetic ones", "duplicates": "duplicates of those"}[config.extra_source]
    return f"and {config.extra_images} {kind} of rare findings"


def _places(config: ModelConfig) -> str:
    if not config.known_places:
        return ""
    return f" Its maps also learned from where a person has marked {config.known_places} findings in training images."


def _untuned(scalings: Mapping[str, Scaling]) -> list[str]:
    """Findings whose scaling is the one that changes nothing: validation images had nothing to fit it to."""
    findings = [name for name, scaling in scalings.items() if scaling == Scaling()]
    if not findings:
        return []
    return [
        f"- {some_of(findings)}: no validation image has it, or every one. Its threshold is 0.5, and its probability "
        "is not calibrated."
    ]


def _number(value: float, *, signed: bool = False) -> str:
    if pd.isna(value):
        return "n/a"
    return f"{value:+.3f}" if signed else f"{value:.3f}"
