"""The images of a study in folds: folders of images and their label tables, read once."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from study.films import LABELS, write_films
from study.folds import CLASSES, GRAPH, MADE_TAIL, MORE_LABELS, PLACES, kept_films, splits_of
from trcgl.artifacts.places import no_places
from trcgl.artifacts.preparation import Preparation
from trcgl.config import Params
from trcgl.graph.cooccurrence import count_cooccurrence
from trcgl.images.manifest import scan_images
from trcgl.images.preparation import read_squares
from trcgl.images.unreadable import UnreadableImage
from trcgl.labels.adapters import read_table
from trcgl.labels.boxes import read_boxes
from trcgl.labels.classes import candidate_findings, choose_classes
from trcgl.labels.selection import Filters, select_images
from trcgl.labels.table import UNKNOWN
from trcgl.places.boxes import BoxFiles, boxes_of, table_names
from trcgl.places.build import WORDS, stated_places
from trcgl.runtime.errors import InputError
from trcgl.runtime.files import write_json, write_parquet

ABOUT = ["patient", "projection", "sex", "age"]


@dataclass(frozen=True)
class Source:
    """A folder of images and its label table.

    Attributes:
        scored: whether its images are used for training and scores; if not, only maps are judged on them.
    """

    images: Path
    labels: Path
    scored: bool


@dataclass(frozen=True)
class Films:
    """The images of a source.

    Attributes:
        source: the folder and the table that they come from.
        selected: image, path, photometric.
        about: patient, projection, sex, age of each image.
        findings: the labels that may become classes.
        matrix: int8 [N, findings] of 1, 0 and UNKNOWN.
    """

    source: Source
    selected: pd.DataFrame
    about: pd.DataFrame
    findings: list[str]
    matrix: np.ndarray

    def labels_of(self, names: list[str]) -> np.ndarray:
        """float [N, C] of 1, 0 and NaN (unknown); a finding that the table never names is 0 in all its images."""
        columns = {name: self.matrix[:, place] for place, name in enumerate(self.findings)}
        absent = np.zeros(len(self.about), self.matrix.dtype)
        stacked = np.stack([columns.get(name, absent) for name in names], axis=1).astype(float)
        stacked[stacked == UNKNOWN] = np.nan
        return stacked


def check_films(settings: Mapping[str, Any], file: str) -> None:
    """Raise an InputError if films or boxes that other settings of the study need are not set."""
    more = settings["more_films"]
    if (more["images"] is None) != (more["labels"] is None):
        given, lacking = ("labels", "images") if more["images"] is None else ("images", "labels")
        raise InputError(f"{file}: 'more_films.{lacking}' is empty beside 'more_films.{given}'; set both, or neither")
    if more["scored"] and more["images"] is None:
        raise InputError(
            f"{file}: 'more_films.scored' is true, but 'more_films.images' is empty; set it to a path on this machine, "
            "or 'more_films.scored' to false"
        )
    if more["scored"] and settings["made_tail"] is not None and settings["boxes"] is None:
        raise InputError(
            f"{file}: 'boxes' is empty; a made tail of films with boxes needs it: set it to a path on this machine"
        )


def read_films(source: Source, params: Params) -> Films:
    """Read the label table of a source and select its images; see `select_images`."""
    table = read_table(params.dataset.name, source.labels)
    table, selected = select_images(table, scan_images(source.images), Filters.from_params(params.labels))
    table = table.settled(params.labels.uncertain, params.labels.missing)
    findings = candidate_findings(table, params.labels)
    return Films(source, selected, table.rows[ABOUT].reset_index(drop=True), findings, table.matrix(findings))


def gather(
    sources: list[Source], boxes: Path | None, params: Params, folds: int, folder: Path, *, rare: int | None = None
) -> None:
    """Write the images of all sources once, and for each fold the split of each image.

    Classes are chosen, and counted in `classes.json`, on all scored images, so that every fold has the same. The label
    graph of a fold is counted on the fold's own training images.

    Args:
        boxes: table of boxes on images of any source; None: no maps are judged.
        folder: receives `images` (shards), `classes.json`, `places.parquet` (as the pipeline's read_boxes writes it),
            and a folder per fold.
        rare: training images that a tail finding keeps in a fold's folder `made_tail`, those with boxes before the
            others; None: no such folder.

    Raises:
        InputError: an image is in two sources or cannot be read; see also `read_films`, `choose_classes` and
            `boxes_of`.
    """
    films = [read_films(source, params) for source in sources]
    scored = [part for part in films if part.source.scored]
    names = list(dict.fromkeys(name for part in scored for name in part.findings))
    matrix = np.concatenate([part.labels_of(names) for part in scored])
    everywhere = np.full(len(matrix), "train", dtype=object)
    coded = np.where(np.isnan(matrix), UNKNOWN, matrix).astype(np.int8)
    classes, dropped = choose_classes(names, coded, everywhere, params.labels)
    chosen = [entry["name"] for entry in classes]
    table = pd.concat([_table(part, chosen) for part in films], ignore_index=True)
    if (twice := table["image"].duplicated()).any():
        raise InputError(f"{table.loc[twice, 'image'].iloc[0]}: this film is in two of the study's folders; keep one")
    size = params.images.classifier_size
    write_films(folder, table.drop(columns="scored"), _pixels(films, params), size)
    write_json(folder / CLASSES, {"classes": classes, "not_findings": list(params.labels.not_findings),
                                  "dropped": dropped}, exact=True)  # fmt: skip
    places = _places(films, boxes, params.images.resize)
    write_parquet(folder / PLACES, places)
    for fold in range(folds):
        split = splits_of(table["patient"].to_numpy(), table["scored"].to_numpy(bool), fold, folds)
        all_rows = table.assign(split=split)[split != ""].drop(columns="scored")
        rows, place = all_rows[all_rows["split"] != "more"].reset_index(drop=True), folder / f"fold{fold}"
        _write_fold(place, rows, chosen, params)
        trained = all_rows.assign(split=all_rows["split"].replace("more", "train"))
        write_parquet(place / MORE_LABELS, trained.reset_index(drop=True))
        if rare is not None:
            tail = [entry["name"] for entry in classes if entry["group"] == "tail"]
            training = rows[rows["split"] == "train"]
            present = (training[tail] == 1).fillna(False).to_numpy(dtype=bool)
            boxed = training["image"].isin(places.loc[places["finding"].isin(tail), "image"]).to_numpy()
            gone = training.index[~kept_films(training["image"].tolist(), present, rare, first=boxed)]
            _write_fold(place / MADE_TAIL, rows.drop(index=gone).reset_index(drop=True), chosen, params)


def _write_fold(place: Path, rows: pd.DataFrame, names: list[str], params: Params) -> None:
    write_parquet(place / LABELS, rows)
    training = rows.loc[rows["split"] == "train", names].to_numpy(dtype=float, na_value=np.nan)
    count_cooccurrence(training, tuple(names), params.graph.smoothing).save(place / GRAPH)


def _table(part: Films, names: list[str]) -> pd.DataFrame:
    images = pd.DataFrame({"image": part.selected["image"], "split": "test", "scored": part.source.scored})
    values = pd.DataFrame(part.labels_of(names), columns=pd.Index(names)).astype("Int8")
    return pd.concat([images, part.about, values], axis=1)


def _pixels(films: list[Films], params: Params) -> Iterator[np.ndarray]:
    preparation, size = Preparation.from_params(params.images), params.images.classifier_size
    for part in films:
        for path, photometric in zip(part.selected["path"], part.selected["photometric"], strict=True):
            inverted = photometric == "MONOCHROME1"
            file = part.source.images / path
            try:
                yield read_squares(file, preparation, [size], inverted=inverted)[0]
            except UnreadableImage as error:
                raise InputError(f"{file}: {error}; leave the film out of the study's tables") from None


def _places(films: list[Films], boxes: Path | None, resize: str) -> pd.DataFrame:
    """Masks of the boxes on images of any source; the table of boxes need not cover every source."""
    if boxes is None:
        return no_places()
    files, listed = BoxFiles(boxes, None, None, WORDS), read_boxes(boxes).boxes["image"]
    # If the table names no image of any source, reading it for the first source reports that
    known = [part for part in films if any(table_names(boxes, listed, part.selected["image"].tolist()))] or films[:1]
    found = []
    for part in known:
        used = boxes_of(files, part.selected, part.source.images, part.selected["image"].tolist(), part.findings)
        labels = pd.DataFrame(part.labels_of(part.findings), columns=pd.Index(part.findings))
        found.append(stated_places(used, labels.assign(image=part.selected["image"].to_numpy()), resize)[0])
    return pd.concat(found, ignore_index=True)
