"""The data card of the synthetic images: what was drawn, what was accepted, why not the rest, and how good it is."""

from collections.abc import Sequence

import pandas as pd

from trcgl.audit.detector import SEEN_PERCENTILE
from trcgl.audit.diversity import scales_at
from trcgl.audit.fidelity import NEIGHBOUR
from trcgl.audit.limits import NEIGHBOURS
from trcgl.audit.measured import THUMBNAIL
from trcgl.audit.run import Audit
from trcgl.audit.verdicts import COPY, INVENTED, NOT_SEEN, OUTLIER, TWIN
from trcgl.config import AuditParams


def synthetic_card(audit: Audit, params: AuditParams) -> str:
    """Markdown."""
    title = ["# Data card: synthetic images", ""]
    drawn, accepted = len(audit.verdicts), int(audit.verdicts["accepted"].sum())
    if not drawn:
        return "\n".join([*title, "No image was drawn, so there is nothing to judge.", ""])
    lines = [
        *title,
        f"{drawn} images were drawn for {len(audit.per_class)} tail findings; {accepted} were accepted. They "
        "enter training only, never validation or test. Not for diagnosis.",
        "",
        *_verdicts(audit, params),
        *_likeness(audit),
        *_second_opinion(audit, params),
    ]
    return "\n".join(lines)


def _verdicts(audit: Audit, params: AuditParams) -> list[str]:
    limits = audit.limits
    deciding = [str(finding) for finding in audit.tests.index[audit.tests["decides"]]]
    return [
        "## Verdicts",
        "",
        "The judge is the baseline classifier, trained on real images only. A sample is rejected for the first of",
        "",
        f"- **{COPY}**: nearer to a training, validation or test image than {params.duplicate_percentile:g} % of real "
        f"training images are to another patient's: below {limits.pixels:.4f} in pixels (1 - correlation at "
        f"{THUMBNAIL} px, flips and crops undone) or below {limits.features:.4f} in the judge's features (1 - cosine);",
        f"- **{NOT_SEEN}**: the judge scores its finding below {params.target_percentile:g} % of the validation images "
        "without it, and has a validation AUC for it of at least "
        f"{params.judge_min_auc:g}; a weaker judge only flags;",
        f"- **{INVENTED}**: the judge scores a finding that was not asked for above "
        f"{params.invented_percentile:g} % of the validation images without it, at the same AUC; it may decide on: "
        f"{', '.join(deciding) if deciding else 'none'};",
        f"- **{OUTLIER}**: its nearest training image number {NEIGHBOURS} is farther ({limits.neighbour:.4f} in "
        f"features) than that of {params.outlier_percentile:g} % of the validation images;",
        f"- **{TWIN}**: as a copy, of a sample drawn earlier.",
        "",
        *_table(
            audit.per_class,
            {
                "finding": "finding",
                "drawn": "drawn",
                "accepted": "accepted",
                "flagged": "of these flagged",
                "rejected_copy": "copies",
                "rejected_finding": "not seen",
                "rejected_invented": "invented",
                "rejected_outlier": "unlike real",
                "rejected_twin": "twins",
                "judge_auc": "judge's AUC",
                "judge_decides": "judge decides",
            },
        ),
        "",
    ]


def _likeness(audit: Audit) -> list[str]:
    return [
        "## Likeness to real training images of the finding",
        "",
        "All drawn samples, in the judge's features: KID (0 is alike; unbiased, so it may be below 0; "
        "beside it that of real validation images with the finding, which the judge has not been fitted to), precision "
        "(share of samples among real images) and recall (share of real images among samples) by neighbour "
        f"{NEIGHBOUR}. With so few real images these are rough: KID is noisy, precision and recall are too high. "
        f"MS-SSIM is the mean over pairs on {scales_at(audit.image_size)} of 5 scales (images of {audit.image_size} "
        "px): well above the real images' it means that samples repeat each other.",
        "",
        *_table(
            audit.per_class,
            {
                "finding": "finding",
                "drawn": "samples",
                "real_images": "real images",
                "kid": "KID",
                "kid_real": "KID of real",
                "precision": "precision",
                "recall": "recall",
                "ms_ssim": "MS-SSIM",
                "ms_ssim_real": "MS-SSIM of real",
            },
        ),
        "",
    ]


def _second_opinion(audit: Audit, params: AuditParams) -> list[str]:
    title = ["## Independent detector", ""]
    if params.detector is None:
        return [*title, "There is none (audit.detector): only the judge has looked at the samples.", ""]
    return [
        *title,
        "A classifier trained on other data, which decides nothing. AUC against the same validation images without the "
        "finding: of real images with it, of all drawn samples, of the accepted ones. Seen: share of the drawn samples "
        f"that it scores above {SEEN_PERCENTILE:g} % of the real validation positives.",
        "",
        *_table(
            audit.per_class,
            {
                "finding": "finding",
                "detector_auc_real": "AUC of real",
                "detector_auc_drawn": "AUC of drawn",
                "detector_auc_accepted": "AUC of accepted",
                "detector_seen": "seen",
            },
        ),
        "",
    ]


def _table(table: pd.DataFrame, columns: dict[str, str]) -> list[str]:
    rows: list[Sequence[object]] = []
    if len(table):
        rows = [list(row) for row in table[list(columns)].itertuples(index=False)]
    shown = [" | ".join(_shown(value) for value in row) for row in rows]
    return [f"| {' | '.join(columns.values())} |", "|" + "---|" * len(columns), *(f"| {row} |" for row in shown)]


def _shown(value: object) -> str:
    if isinstance(value, float):
        return "n/a" if pd.isna(value) else f"{value:.3f}"
    return {"True": "yes", "False": "no"}.get(str(value), str(value))
