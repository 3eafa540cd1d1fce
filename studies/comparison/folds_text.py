"""The text on a study in folds for docs/results.md."""

import pandas as pd

from comparison.folds import NO_MODEL, POINTING
from comparison.numbers import TEST
from study.arms import Study

SHOWN = ("mAP", "tail_mAP", "mAUC", POINTING)
ONE_SEED = ", with one seed over patients alone: too narrow for a decision"


def folds_block(metrics: pd.DataFrame, summary: pd.DataFrame, table: pd.DataFrame, study: Study, planned: Study) -> str:
    """Markdown: every arm, every comparison, and the pointing game per finding.

    Args:
        table: as `localisation` returns it; empty without boxes.
        study: the part of the study that has run.
        planned: the whole study.
    """
    seeds = metrics.groupby("arm")["seed"].nunique()
    fewest, most = int(seeds.min()), int(seeds.max())
    waiting = [arm for arm, entry in planned.arms.items() if entry.reported and arm not in study.arms]
    over = f"{fewest} to {most} seeds" if fewest < most else f"{most} seed{'s' if most != 1 else ''}"
    lines = [
        f"Out of fold, mean{' and standard deviation' if most > 1 else ''} over {over}."
        + (
            f" A row with fewer than {len(planned.seeds)} seeds is a report, no decision."
            if fewest < len(planned.seeds)
            else ""
        )
        + (f" Not run yet: {', '.join(f'`{arm}`' for arm in waiting)}." if waiting else ""),
        "",
        f"| arm | seeds | {' | '.join(TEST)} |",
        "|---|---|" + "---|" * len(TEST),
    ]
    for arm in study.arms:
        cells = []
        for metric in TEST:
            value = metrics.loc[(metrics["arm"] == arm) & (metrics["metric"] == metric), "value"]
            spread = f" ± {value.std(ddof=1):.3f}" if len(value) > 1 else ""
            # A group may have no finding in this data set
            cells.append("-" if value.isna().any() else f"{value.mean():.3f}{spread}")
        lines.append(f"| {arm} | {seeds[arm]} | {' | '.join(cells)} |")
    lines += [
        "",
        f"Paired differences over the seeds that both have, with 95 % t intervals over seeds and patients "
        f"({study.resamples} resamples of the patients){ONE_SEED if (summary['seeds'] == 1).any() else ''}; "
        f"`{POINTING}` is the class maps' pointing game.",
        "",
        f"| arm | reference | seeds | {' | '.join(SHOWN)} |",
        "|---|---|---|" + "---|" * len(SHOWN),
    ]
    for (arm, reference), part in summary.groupby(["arm", "reference"], sort=False):
        rows = {str(row["metric"]): row for _, row in part.iterrows()}
        cells = [str(part["seeds"].iloc[0]), *(_interval(rows[metric]) if metric in rows else "-" for metric in SHOWN)]
        lines.append(f"| {arm} | {reference} | {' | '.join(cells)} |")
    if len(table):
        lines += ["", *_pointing(table)]
    return "\n".join(lines) + "\n"


def _interval(row: pd.Series) -> str:
    return f"{row['difference']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]"


def _pointing(table: pd.DataFrame) -> list[str]:
    """A table of the share of boxes hit: one row per arm and method, one column per finding."""
    findings = table["finding"].drop_duplicates().tolist()
    lines = [
        "Pointing game: the share of boxes hit (within 15 px of 256), in brackets its 95 % interval.",
        "",
        f"| arm | method | {' | '.join(findings)} |",
        "|---|---|" + "---|" * len(findings),
    ]
    for (arm, method), part in table.groupby(["arm", "method"], sort=False):
        rows = part.set_index("finding")
        mean = rows.loc["(mean)"]
        cells = [f"{mean['pointing']:.3f} [{mean['low']:.3f}, {mean['high']:.3f}]"]
        cells += [f"{value:.2f}" for value in rows.loc[findings[1:], "pointing"]]
        lines.append(f"| {'-' if arm == NO_MODEL else arm} | {method} | {' | '.join(cells)} |")
    centre = table.drop_duplicates("finding").set_index("finding")["centre"]
    cells = [f"{centre['(mean)']:.3f}", *(f"{value:.2f}" for value in centre[findings[1:]])]
    lines.append(f"| - | centre | {' | '.join(cells)} |")
    images = table.drop_duplicates("finding").set_index("finding")["images"]
    lines.append(f"| | boxes | {' | '.join(str(images[name]) for name in findings)} |")
    return lines
