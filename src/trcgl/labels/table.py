"""The canonical label table: each adapter converts its data set's file into one; later steps know no other form."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from trcgl.labels.about import in_one_way
from trcgl.labels.cells import NOT_A_FILE, is_missing

ROW_COLUMNS = (
    "row", "image", "folder", "file", "patient", "study", "projection", "sex", "age", "photometric", "method", "split"
)  # fmt: skip
UNKNOWN = -1
CONTRADICTING = "image listed with contradicting rows"
# A separator, a drive letter, '.' or '..': such a name could lead out of the image folder
NAME_IS_A_PATH = r"[/\\\x00]|^[A-Za-z]:|^\.{1,2}$"


@dataclass(frozen=True)
class LabelTable:
    """Kept rows with their labels, and rejected rows with the reason; every data row of the file is one of the two.

    Attributes:
        rows: one row per kept image. Columns: row (1-based data row of the source), image (a unique name; the file's
            name, unless `file` is given), folder ("" if the source names none), file (the end of the image file's path,
            where file names repeat; "" elsewhere), patient, study, projection, sex, photometric, method, split (train,
            val or test, where the source states it); all text, "" where the source states nothing; and age (years,
            Int64, may be missing).
        positives: one row per label that is present: row, label (categorical; its categories are the vocabulary, in the
            order of the first row that has them, or of the source's columns).
        uncertain: like `positives`, for labels that the source calls uncertain (-1); see `settled`.
        unknowns: like `positives`, for labels that the source leaves unstated; see `settled`. Any pair of row and label
            in none of these three tables is negative.
        rejected: row, image, reason.
        normal: the label by which the source says "nothing found".
        source: the label table's file or folder, for messages.
        silent: the rejected rows, in the form of `rows`, that state no label; None if there are none; see
            `with_silent_rows`.
    """

    rows: pd.DataFrame
    positives: pd.DataFrame
    uncertain: pd.DataFrame
    unknowns: pd.DataFrame
    rejected: pd.DataFrame
    normal: str
    source: str
    silent: pd.DataFrame | None = None

    def __post_init__(self) -> None:
        assert tuple(self.rows.columns) == ROW_COLUMNS, self.rows.columns
        numbers = np.concatenate([self.rows["row"].to_numpy(), self.rejected["row"].to_numpy()])
        assert np.array_equal(np.sort(numbers), np.arange(1, self.source_rows + 1)), "rows in = kept + rejected"

    def __repr__(self) -> str:
        return (
            f"LabelTable({len(self.rows)} images of {self.rows['patient'].nunique()} patients, "
            f"{len(self.vocabulary)} labels, {len(self.rejected)} rows rejected)"
        )

    @property
    def source_rows(self) -> int:
        """Number of data rows in the source: kept + rejected."""
        return len(self.rows) + len(self.rejected)

    @property
    def vocabulary(self) -> list[str]:
        """Every label name in the source, even if all rows with it were rejected."""
        return self.positives["label"].cat.categories.to_list()

    def reject(self, reasons: np.ndarray) -> "LabelTable":
        """The table with further rows rejected.

        Args:
            reasons: the reason for each kept row, in the order of `rows`; "" keeps the row.
        """
        out = reasons != ""
        refused = self.rows.loc[out, ["row", "image"]].assign(reason=pd.Series(reasons[out], dtype="str").to_numpy())
        rows = self.rows[~out].reset_index(drop=True)
        kept = np.zeros(self.source_rows + 1, bool)
        kept[rows["row"]] = True
        rejected = pd.concat([self.rejected, refused]).sort_values("row", ignore_index=True)
        return replace(
            self,
            rows=rows,
            positives=self.positives[kept[self.positives["row"]]],
            uncertain=self.uncertain[kept[self.uncertain["row"]]],
            unknowns=self.unknowns[kept[self.unknowns["row"]]],
            rejected=rejected,
        )

    def with_silent_rows(self) -> "LabelTable":
        """The table in which rows that state no label are kept, for users who read a blank as negative.

        Such a row stays rejected if its image has another row as well; of equal rows the first is kept.
        """
        if self.silent is None:
            return self
        others = self.rejected.loc[~self.rejected["row"].isin(self.silent["row"]), "image"]
        free = self.silent[~self.silent["image"].isin(self.rows["image"]) & ~self.silent["image"].isin(others)]
        stated = {name: free[name].where(free[name] != "") for name in ("projection", "sex")}
        about = free.assign(**stated).groupby("image")[["patient", "split", *stated]].transform("nunique").max(axis=1)
        taken = free[(about == 1) & ~free["image"].duplicated()]
        return replace(
            self,
            rows=pd.concat([self.rows, taken]).sort_values("row", ignore_index=True),
            rejected=self.rejected[~self.rejected["row"].isin(taken["row"])].reset_index(drop=True),
            silent=None,
        )

    def settled(self, uncertain: str, missing: str) -> "LabelTable":
        """The table with every label present, absent or unknown.

        Args:
            uncertain: what uncertain labels become: `unknown`, `positive` or `negative`.
            missing: what labels become that the source leaves unstated: `unknown` or `negative`.
        """
        assert uncertain in ("unknown", "positive", "negative"), uncertain
        assert missing in ("unknown", "negative"), missing
        unknowns = no_pairs(self.unknowns) if missing == "negative" else self.unknowns
        settled = replace(self, uncertain=no_pairs(self.uncertain), unknowns=unknowns)
        if uncertain == "positive":
            return replace(settled, positives=pd.concat([self.positives, self.uncertain], ignore_index=True))
        if uncertain == "unknown":
            return replace(settled, unknowns=pd.concat([unknowns, self.uncertain], ignore_index=True))
        return settled

    def having(self, labels: Sequence[str], *, perhaps: bool = False) -> np.ndarray:
        """Which kept rows have at least one of `labels`: bool, in the order of `rows`.

        Args:
            perhaps: an uncertain label counts, too.
        """
        found = np.zeros(self.source_rows + 1, bool)
        for pairs in (self.positives, self.uncertain) if perhaps else (self.positives,):
            found[pairs["row"][pairs["label"].isin(labels)]] = True
        return found[self.rows["row"]]

    def matrix(self, labels: Sequence[str]) -> np.ndarray:
        """int8, kept rows x `labels`, column by column in memory: 1 present, 0 absent, -1 unknown or uncertain."""
        place = np.zeros(self.source_rows + 1, np.int64)
        place[self.rows["row"]] = np.arange(len(self.rows))
        # The extra last column receives labels that were not asked for
        column = pd.Index(labels).get_indexer(pd.Index(self.vocabulary))
        matrix = np.zeros((len(self.rows), len(labels) + 1), np.int8, order="F")
        for pairs, value in ((self.unknowns, UNKNOWN), (self.uncertain, UNKNOWN), (self.positives, 1)):
            matrix[place[pairs["row"]], column[pairs["label"].cat.codes]] = value
        return matrix[:, :-1]


def label_pairs(rows: np.ndarray, codes: np.ndarray, lists: Sequence[Sequence[str]]) -> pd.DataFrame:
    """All pairs (row, label), where many rows share few different label lists.

    Args:
        rows: row numbers.
        codes: for each row, the index of its list in `lists`.
        lists: the different label lists.
    """
    flat, names = pd.factorize(pd.Series([label for labels in lists for label in labels], dtype="str"))
    lengths = np.array([len(labels) for labels in lists], np.int64)
    starts = np.cumsum(lengths) - lengths
    repeats = lengths[codes]
    within = np.arange(repeats.sum()) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    labels = pd.Categorical.from_codes(flat[np.repeat(starts[codes], repeats) + within], categories=names)
    return pd.DataFrame({"row": np.repeat(rows, repeats), "label": labels})


def no_pairs(like: pd.DataFrame) -> pd.DataFrame:
    """An empty frame of pairs with the vocabulary of `like`."""
    return like.iloc[:0]


def first_reason(*checks: tuple[str, "pd.Series | np.ndarray | np.bool"]) -> np.ndarray:
    """For each row, the reason of the first check that is true; "" if none is."""
    reasons = np.full(np.shape(checks[0][1]), "", dtype=object)
    for reason, holds in reversed(checks):
        reasons[np.asarray(holds, bool)] = reason
    return reasons


def assemble(
    rows: pd.DataFrame,
    positives: pd.DataFrame,
    uncertain: pd.DataFrame,
    unknowns: pd.DataFrame,
    *,
    source: str | Path,
    normal: str,
    label_reasons: np.ndarray,
    content: pd.Series,
) -> LabelTable:
    """The label table of all data rows, in which rows that are invalid in any data set are rejected.

    Args:
        rows: every data row of the source, with those of ROW_COLUMNS that it states; completed in place.
        source: the label table, for messages.
        label_reasons: for each row, why its labels cannot be used; "" if they can.
        content: for each row, a value that identifies its labels. Rows of one image that differ in it, in the patient,
            split, stated projection or sex contradict each other, and all of them are rejected. Of equal rows the first
            is kept. A row whose labels cannot be used contradicts the others if it names another patient.
    """
    for name in ("projection", "sex"):
        if name in rows:
            rows[name] = in_one_way(source, name, rows[name])
    reasons = first_reason(
        ("image name missing", is_missing(rows["image"], NOT_A_FILE)),
        ("image name is a path", rows["image"].str.contains(NAME_IS_A_PATH, regex=True)),
        ("patient id missing", is_missing(rows["patient"])),
    )
    named = rows["image"][reasons == ""]
    reasons = np.where(reasons == "", label_reasons, reasons)
    twice = rows.loc[named.index[named.duplicated(keep=False)]]
    if len(twice):
        live = twice.assign(content=content)[reasons[twice.index] == ""]
        stated = {name: live[name].where(live[name] != "") for name in ("projection", "sex") if name in rows}
        compared = ["content", *(name for name in ("split", *stated) if name in rows)]
        # Without the rows that do not state a projection or sex
        different = live.assign(**stated).groupby("image")[compared].nunique().max(axis=1)
        patients = twice.groupby("image")["patient"].nunique()
        contradicting = {*different.index[different > 1], *patients.index[patients > 1]}
        places, wrong = live.index.to_numpy(), live["image"].isin(contradicting).to_numpy(bool)
        reasons[places[wrong]] = CONTRADICTING
        reasons[places[live["image"].duplicated().to_numpy(bool) & ~wrong]] = "duplicate image name"
    none = pd.DataFrame({"row": [], "image": [], "reason": []}).astype(
        {"row": "int64", "image": "str", "reason": "str"}
    )
    for name in ROW_COLUMNS:
        if name not in rows:
            rows[name] = pd.Series(pd.NA, rows.index, dtype="Int64") if name == "age" else ""
    table = LabelTable(rows[list(ROW_COLUMNS)], positives, uncertain, unknowns, none, normal, str(source))
    return table.reject(reasons)
