"""The data card of the synthetic images: what was generated, what was accepted or rejected and why, and its quality."""

from collections.abc import Sequence

import pandas as pd

from trcgl.audit.detector import SEEN_PERCENTILE
from trcgl.audit.diversity import scales_at
from trcgl.audit.fidelity import NEIGHBOUR
from trcgl.audit.finding_tests import MIN_POSITIVES
from trcgl.audit.limits import NEIGHBOURS
from trcgl.audit.measured import THUMBNAIL
from trcgl.audit.run import Audit
from trcgl.audit.verdicts import COPY, NOT_SEEN, OUTLIER, TWIN
from trcgl.config import AuditParams


def synthetic_card(audit: Audit, params: AuditParams) -> str:
    """The data card as Markdown text."""
    title = ["# Data card: synthetic images", ""]
    drawn, accepted = len(audit.verdicts), int(audit.verdicts["accepted"].sum())
    if not drawn:
        why = "No image was drawn" if audit.generator else "Stage one is off (diffusion.base is null)"
        return "\n".join([*title, f"{why}: there is nothing to judge.", ""])
    lines = [
        *title,
        f"{drawn} images were made for {len(audit.per_class)} tail findings; {accepted} were accepted. They "
        "enter training only, never validation or test. Not for diagnosis.",
        "",
        *_grafts(audit),
        *_verdicts(audit, params),
        *_labels(audit, params),
        *_likeness(audit),
        *_second_opinion(audit, params),
    ]
    return "\n".join(lines)


def _grafts(audit: Audit) -> list[str]:
    if not audit.grafts:
        return []
    return [
        f"{audit.grafts} of them are grafts: the region of a real training image where the generator sees the finding, "
        "laid into a training image of another patient without any finding. So they show pixels of two real patients.",
        "",
    ]


def _verdicts(audit: Audit, params: AuditParams) -> list[str]:
    limits = audit.limits
    detector = {"detector_seen_accepted": "of these seen by the detector"} if params.detector is not None else {}
    return [
        "## Verdicts",
        "",
        "The judge is the baseline classifier, trained on real images only. A sample is rejected for the first of",
        "",
        f"- **{COPY}**: nearer to a training image in pixels ({limits.pixels:.4f}; 1 - correlation at {THUMBNAIL} px, "
        f"flips and crops undone) than {params.duplicate_percentile:g} % of real training images are to another "
        f"patient's, and, laid over it, nearer in the base generator's features ({limits.features:.4f}; 1 - cosine) "
        f"than {params.duplicate_feature_percentile:g} % of such real pairs;",
        f"- **{NOT_SEEN}**: the judge scores its finding no higher than {params.seen_percentile:g} % of the real "
        "validation images with it. The AUC says how good that test is; a finding with fewer than "
        f"{MIN_POSITIVES} of these images is not judged;",
        f"- **{OUTLIER}**: its nearest training image number {NEIGHBOURS} is farther ({limits.neighbour:.4f} in the "
        f"judge's features) than that of {params.outlier_percentile:g} % of the validation images;",
        f"- **{TWIN}**: as a copy, of a sample accepted before it.",
        "",
        *_table(
            audit.per_class,
            {
                "finding": "finding",
                "drawn": "drawn",
                "seen": "seen by the judge",
                "accepted": "accepted",
                **detector,
                "not_judged": "accepted, not judged",
                "rejected_copy": "copies",
                "rejected_finding": "not seen",
                "rejected_outlier": "unlike real",
                "rejected_twin": "twins",
                "judge_positives": "validation images with it",
                "judge_auc": "judge's AUC",
            },
        ),
        "",
    ]


def _labels(audit: Audit, params: AuditParams) -> list[str]:
    opened = audit.verdicts.loc[audit.verdicts["accepted"], "unverified"]
    return [
        "## Labels",
        "",
        f"In {int((opened.map(len) > 0).sum())} accepted samples the audit sets labels to unknown, "
        f"{int(opened.map(len).sum())} in all: findings beside the target that the prompt names and the judge does not "
        "see by the same rule, and findings that nobody asked for and the judge sees by that rule and above "
        f"{params.invented_percentile:g} % of the validation images without them. Other findings of the real images "
        "that a sample is made of are unknown, too; they are not counted here.",
        "",
    ]


def _likeness(audit: Audit) -> list[str]:
    return [
        "## Likeness to real validation images of the finding",
        "",
        f"In the {audit.kid_features}'s features, which no training run changes: KID (0 is alike; unbiased, so it may "
        "be below 0) of all drawn samples, of the accepted ones, and beside them of real training images with the "
        "finding; of all drawn samples precision (share of samples among real images) and recall (share of real "
        f"images among samples) by neighbour {NEIGHBOUR}. With so few real images these are rough: KID is noisy, "
        f"precision and recall are too high. MS-SSIM is the mean over pairs on {scales_at(audit.image_size)} of 5 "
        f"scales (images of {audit.image_size} px): well above the real images' it means that samples repeat each "
        "other.",
        "",
        *_table(
            audit.per_class,
            {
                "finding": "finding",
                "drawn": "samples",
                "real_images": "real images",
                "kid": "KID",
                "kid_accepted": "KID of accepted",
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
        "finding: of real images with it, of all drawn samples, of the accepted ones. Seen: share of the samples that "
        f"it scores above {SEEN_PERCENTILE:g} % of the real validation images with the finding, so that of real images "
        f"it sees {100 - SEEN_PERCENTILE:g} %.",
        "",
        *_table(
            audit.per_class,
            {
                "finding": "finding",
                "detector_auc_real": "AUC of real",
                "detector_auc_drawn": "AUC of drawn",
                "detector_auc_accepted": "AUC of accepted",
                "detector_seen_drawn": "seen of drawn",
                "detector_seen_accepted": "seen of accepted",
                "detector_seen_rejected": "seen of rejected",
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
