"""Which findings are classes, in which order and group; only training rows decide."""

import difflib
from collections.abc import Sequence
from typing import Any

import numpy as np

from trcgl.config import LabelsParams
from trcgl.labels.cells import name_key, say
from trcgl.labels.groups import group_of
from trcgl.labels.splits import SPLITS
from trcgl.labels.table import UNKNOWN, LabelTable
from trcgl.runtime.errors import InputError, some_of
from trcgl.runtime.letters import seen_as


def candidate_findings(table: LabelTable, params: LabelsParams) -> list[str]:
    """The labels that may become classes: `labels.findings` if given, else all but `labels.not_findings`.

    Raises:
        InputError: a listed finding or tail finding does not occur in the data set.
    """
    vocabulary, merging = table.vocabulary, params.class_table
    for key, listed in (("findings", params.findings), ("tail_findings", params.tail_findings)):
        for name in listed or ():
            if name not in vocabulary:
                near = difflib.get_close_matches(name, vocabulary, n=3, cutoff=0.5)
                hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"it has {some_of(vocabulary)}"
                where = table.source if merging is None else f"{merging}, for the labels of {table.source},"
                what = "label" if merging is None else "class"
                raise InputError(f"'labels.{key}': {where} has no {what} '{name}'; {hint}")
    if params.findings is not None:
        return list(dict.fromkeys(params.findings))
    return [name for name in vocabulary if name not in params.not_findings]


def check_spelling(table: LabelTable, params: LabelsParams) -> None:
    """Stop if a label differs only in spelling from a label that names no finding, or from one that excludes images.

    Raises:
        InputError: there is such a label.
    """
    for key, listed in (("not_findings", params.not_findings), ("exclude_images_with", params.exclude_images_with)):
        meant = {name_key(name): name for name in listed}
        for name in table.vocabulary:
            same = meant.get(name_key(name))
            if same is not None and name not in listed and name not in (params.findings or ()):
                raise InputError(
                    f"'labels.{key}' has '{same}', {table.source} has '{name}'{seen_as(name)}; write both in one "
                    "way, or name both"
                )


def choose_classes(
    findings: Sequence[str],
    matrix: np.ndarray,
    split: np.ndarray,
    params: LabelsParams,
    silent: int = 0,
    *,
    source: str = "the label tables",
) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """The classes in descending order of training positives (then by name), and the findings that are too rare.

    Args:
        findings: the candidates.
        matrix: int8, images x findings: 1, 0 or -1 (unknown).
        split: 'train', 'val' or 'test' per image.
        silent: number of rows that were rejected because they state no label.
        source: the label table, for messages.

    Returns:
        For each class: name, group, positives (per split) and prevalence (positives divided by the training images in
        which the finding is not unknown). And for each finding below `labels.min_positives`: its training positives.

    Raises:
        InputError: no finding has enough training positives, or a finding with enough has no negative.
    """
    members = {name: split == name for name in SPLITS}
    positives = {name: _counts(matrix, 1, rows) for name, rows in members.items()}
    training = int(members["train"].sum())
    known = training - _counts(matrix, UNKNOWN, members["train"])
    trained = positives["train"]
    order = sorted(range(len(findings)), key=lambda i: (-trained[i], findings[i]))
    kept = [i for i in order if trained[i] >= params.min_positives]
    if not kept:
        raise InputError(
            f"{source}: no finding has {params.min_positives} positives among {training} training images; "
            "lower 'labels.min_positives' or give more images"
        )
    for i in kept:
        if known[i] == trained[i]:
            dropping = (
                f"add '{findings[i]}' to 'labels.not_findings'"
                if params.findings is None
                else f"remove '{findings[i]}' from 'labels.findings'"
            )
            _say_no_negative(f"{source}: finding '{findings[i]}'", training, int(trained[i]), silent, dropping)
    classes = []
    for i in kept:
        prevalence = float(trained[i] / known[i])
        group = group_of(
            findings[i],
            prevalence,
            head_above=params.head_above,
            tail_below=params.tail_below,
            tail_findings=params.tail_findings,
        )
        classes.append(
            {
                "name": findings[i],
                "group": group,
                "positives": {name: int(positives[name][i]) for name in SPLITS},
                "prevalence": prevalence,
            }
        )
    dropped = {findings[i]: int(trained[i]) for i in order if trained[i] < params.min_positives}
    for name in dict.fromkeys(params.tail_findings or ()):
        if name not in findings:
            key = "'labels.not_findings' has it" if params.findings is None else "'labels.findings' does not have it"
            say(f"{source}: '{name}' of 'labels.tail_findings' is no class: {key}")
    for name in sorted({*(params.findings or ()), *(params.tail_findings or ())} & dropped.keys()):
        say(f"{source}: '{name}' of 'labels.findings' or 'labels.tail_findings' is no class: it has {dropped[name]} "
            f"positive training images, and 'labels.min_positives' is {params.min_positives}")  # fmt: skip
    return classes, dropped


def _counts(matrix: np.ndarray, value: int, rows: np.ndarray) -> np.ndarray:
    """In how many of the rows each finding has a value; a column at a time, as the matrix lies in memory."""
    return np.array([np.count_nonzero((column == value) & rows) for column in matrix.T], np.int64)


def _say_no_negative(finding: str, images: int, positives: int, silent: int, dropping: str) -> None:
    """Stop if a finding has training positives but no negative; only warn if every training image shows it.

    Args:
        finding: the label table and the finding, for messages.
        images, positives: number of training images, and of those with the finding.
        silent: number of rows that were rejected because they state no label.
        dropping: how the user can leave out the finding.

    Raises:
        InputError: labels of the finding are unknown, or rows state no label, so that negatives may be missing.
    """
    unknown = images - positives
    if unknown + silent == 0:
        say(f"{finding} is present in every training image: nothing can be learned about it")
        return
    raise InputError(
        f"{finding} has {positives} positives and no negative in training (images unknown: {unknown}, rows without a "
        f"label: {silent}); if a blank (or -1) means absent, set 'labels.missing' (or 'labels.uncertain') to negative, "
        f"else {dropping}"
    )
