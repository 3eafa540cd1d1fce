"""All arms and replicates: metrics/<name>.csv, <name>_summary.csv, two figures, the table in docs/results.md."""

import sys

from comparison.figure import difference_forest
from comparison.gain_figure import gain_against_films_seen
from comparison.replicates import gain_by_films_seen, paired_differences, replicate_metrics
from comparison.replicates_text import replicates_block
from study.arms import load_study
from study.places import ROOT
from study.pools import accepted_counts
from trcgl.runtime.figures import save_figure
from trcgl.runtime.files import replace_between, write_csv
from trcgl.runtime.stage import run_stage

GAIN = ("drawn_informed", "duplicates")


def main() -> None:
    study = load_study(".")
    metrics = replicate_metrics(study)
    summary = paired_differences(metrics, study)
    # The same in all replicates, because the base's images do not come from the replicates
    seen = accepted_counts(study.pool_of("base_tail", study.seeds[0]))
    gains = gain_by_films_seen(summary, *GAIN, seen)
    write_csv(ROOT / f"metrics/{study.name}.csv", metrics)
    write_csv(ROOT / f"metrics/{study.name}_summary.csv", summary)
    panels = {name: arm.group for name, arm in study.arms.items()}
    # The interval of two replicates would be wider than the figure
    enough = summary[summary["seeds"] >= min(3, summary["seeds"].max())]
    forest = difference_forest(enough, "tail_mAP", panels, over="replicates")
    save_figure(forest, ROOT / f"docs/figures/{study.name}.png")
    picture = gain_against_films_seen(gains, " less ".join(GAIN))
    save_figure(picture, ROOT / f"docs/figures/{study.name}_findings.png")
    replace_between(ROOT / "docs/results.md", study.name, replicates_block(metrics, summary, gains, study))


if __name__ == "__main__":
    sys.exit(run_stage(main))
