"""The text on the replicates' results for docs/results.md."""

import numpy as np
import pandas as pd

from comparison.numbers import EXTRA
from comparison.replicates import CAS
from study.arms import Study

COLUMNS = ("tail_mAP", "mAP", "val_tail_mAP", EXTRA, CAS)


def replicates_block(metrics: pd.DataFrame, summary: pd.DataFrame, gains: pd.DataFrame, study: Study) -> str:
    """Markdown: every arm, every comparison, and the gain of each finding, with the figures."""
    reported = [name for name, entry in study.arms.items() if entry.reported]
    ran = metrics.groupby("arm")["seed"].nunique()
    lines = [
        f"Replicates planned: {len(study.seeds)}, each with data, patients, judge, generators and seeds of its own. "
        "Mean and standard deviation over those that an arm has finished. `val_` and CAS (tail mAP of a network whose "
        "tail positives are that pool's images alone) are on validation images, the rest on test images.",
        "",
        f"| arm | replicates | {' | '.join(COLUMNS)} |",
        "|---|---|" + "---|" * len(COLUMNS),
    ]
    for arm in reported:
        own = metrics[metrics["arm"] == arm]
        cells = [_cell(own.loc[own["metric"] == metric, "value"].dropna().to_numpy(), metric) for metric in COLUMNS]
        lines.append(f"| {arm} | {ran.get(arm, 0)} | {' | '.join(cells)} |")
    lines += [
        "",
        "Mean of the paired differences with Student's t over the replicates that both have, 95 %.",
        "",
        "| arm | reference | replicates | tail mAP | mAP |",
        "|---|---|---|---|---|",
    ]
    for (arm, reference), part in summary.groupby(["arm", "reference"], sort=False):
        shown = part.set_index("metric")
        # A metric that is defined in no replicate has no row
        both = ("tail_mAP", "mAP")
        row = [_interval(shown.loc[[metric]].iloc[0]) if metric in shown.index else "-" for metric in both]
        lines.append(f"| {arm} | {reference} | {part['seeds'].max()} | {' | '.join(row)} |")
    lines += [
        "",
        "`drawn_informed` less `duplicates`, AP of each finding, and how many films the base had seen under its name:",
        "",
        "| finding | films seen | AP |",
        "|---|---|---|",
    ]
    lines += [f"| {row['finding']} | {row['seen']} | {_interval(row)} |" for _, row in gains.iterrows()]
    lines += [
        "",
        f"![Differences between the arms, with intervals](figures/{study.name}.png)",
        "",
        f"![Gain of each finding against the films of it that the base had seen](figures/{study.name}_findings.png)",
    ]
    return "\n".join(lines) + "\n"


def _cell(found: np.ndarray, metric: str) -> str:
    """Mean and standard deviation over the replicates; a dash where the arm has no such number."""
    if not len(found):
        return "-"
    if metric == EXTRA:
        return f"{found.mean():.0f}"
    return f"{found.mean():.3f}" + (f" ± {found.std(ddof=1):.3f}" if len(found) > 1 else "")


def _interval(row: pd.Series) -> str:
    """A difference with its bounds; a single replicate has no bounds."""
    if np.isnan(row["difference"]):
        return "-"
    bounds = "" if np.isnan(row["low"]) else f" [{row['low']:+.3f}, {row['high']:+.3f}]"
    return f"{row['difference']:+.3f}{bounds}"
