"""Summaries of a label table without its images: what `trcgl labels` prints and writes."""

import pandas as pd

from trcgl.labels.table import LabelTable


def label_counts(table: LabelTable) -> pd.DataFrame:
    """Images per label and projection before any filter: label, projection, count; pairs with count 0 are included."""
    projection = table.rows.set_index("row")["projection"]
    counts = pd.crosstab(
        table.positives["label"].to_numpy(), projection.loc[table.positives["row"]].to_numpy()
    ).reindex(index=sorted(table.vocabulary), columns=sorted(projection.unique()), fill_value=0)
    counts = counts.rename_axis("label").reset_index()
    return counts.melt("label", var_name="projection", value_name="count").sort_values(["label", "projection"])


def summary(table: LabelTable) -> str:
    """A text: rows, kept rows, rejected rows by reason, labels, patients, and images and patients per projection."""
    reasons = table.rejected["reason"].value_counts()
    lines = [f"rows {table.source_rows}", f"kept {len(table.rows)}", f"rejected {len(table.rejected)}"]
    lines += [f"  {reason} {count}" for reason, count in reasons.items()]
    lines += [f"labels {len(table.vocabulary)}", f"patients {table.rows['patient'].nunique()}"]
    counts = {"uncertain labels": len(table.uncertain), "unknown labels": len(table.unknowns)}
    lines += [f"{what} {count}" for what, count in counts.items() if count] + [""]
    by_projection = table.rows.groupby("projection").agg(images=("image", "size"), patients=("patient", "nunique"))
    lines.append(f"{'projection':<16}{'images':>9}{'patients':>10}")
    for projection, images, patients in by_projection.sort_values("images", ascending=False).itertuples():
        lines.append(f"{projection or '(not stated)':<16}{images:>9}{patients:>10}")
    return "\n".join(lines)
