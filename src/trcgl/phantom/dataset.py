"""The folder that `make_phantom` writes: images, label table, lesion masks, splits, and a card of the renderer."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from trcgl.config import DatasetParams
from trcgl.phantom.catalogue import FINDINGS
from trcgl.phantom.population import Image, draw_population
from trcgl.phantom.render import SIZE, render
from trcgl.phantom.table import is_inverted, label_table, split_table
from trcgl.runtime.cores import usable_cores
from trcgl.runtime.files import directory_beside, write_csv, write_json, write_parquet
from trcgl.runtime.logging import get_logger, progress
from trcgl.runtime.workers import pixel_workers

RENDERER_VERSION = 1
"""Raised with every change that alters a pixel or a row; recorded in renderer.json and with trained assets."""

# Detector noise hardly compresses: the row-difference filter with run-length coding takes 1.4 ms, level 1 alone 5.3 ms
_PNG = [
    *(cv2.IMWRITE_PNG_COMPRESSION, 1),
    *(cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE),
    *(cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_SUB),
]


@dataclass(frozen=True)
class Lesion:
    image: str
    finding: str
    mask: bytes
    """PNG, 8-bit, 255 inside the lesion, of the image's size."""


def make_phantom(params: DatasetParams, folder: Path, workers: int | None = None) -> None:
    """Render the data set into `folder`, replacing the folder as a whole; for any other data set, write only a note.

    The bytes depend only on `params.seed`, `params.phantom` and RENDERER_VERSION, not on the number of `workers`
    (None: one per CPU).
    """
    log = get_logger("phantom")
    with directory_beside(folder) as beside:
        if params.name != "phantom":
            log.info("dataset.name is %s: nothing to draw", params.name)
            # The folder is not left empty, because DVC would warn about that in every later stage
            (beside / "unused.txt").write_text(f"dataset.name is {params.name}: nothing to draw\n", encoding="utf-8")
            return
        images = draw_population(params.seed, params.phantom)
        (beside / "images").mkdir()
        lesions = _write_images(images, beside / "images", SIZE, workers or usable_cores())
        write_csv(beside / "labels.csv", label_table(images, SIZE))
        write_csv(beside / "splits.csv", split_table(images))
        rows = [asdict(lesion) for lesion in lesions]
        write_parquet(beside / "lesions.parquet", pd.DataFrame(rows, columns=["image", "finding", "mask"]))
        write_json(beside / "renderer.json", renderer_card(params))
        log.info("%d images of %d patients in %s", len(images), len({i.view.patient for i in images}), folder)


def renderer_card(params: DatasetParams) -> dict[str, object]:
    """How the data were rendered: version, seed, size; for each finding its group, its share, whether it has a mask."""
    return {
        "renderer_version": RENDERER_VERSION,
        "seed": params.seed,
        "size": SIZE,
        "findings": {
            finding.name: {"group": finding.group, "share": finding.share, "has_place": finding.has_place}
            for finding in FINDINGS
        },
    }


def _write_images(images: list[Image], folder: Path, size: int, workers: int) -> list[Lesion]:
    draw = partial(_write_image, folder=folder, size=size)
    if workers == 1:
        return _gathered(map(draw, images), len(images))
    with pixel_workers(workers) as pool:
        return _gathered(pool.map(draw, images, chunksize=16), len(images))


def _gathered(results: Iterable[list[Lesion]], total: int) -> list[Lesion]:
    return [lesion for lesions in progress(results, total=total, what="phantom images") for lesion in lesions]


def _write_image(image: Image, folder: Path, size: int) -> list[Lesion]:
    view, path = image.view, folder / image.view.image
    if image.spoiled == "missing file":
        return []
    if image.spoiled == "zero bytes":
        path.write_bytes(b"")
        return []
    if image.spoiled == "text file":
        path.write_text("not found\n", encoding="ascii")
        return []
    film, masks = render(view, size)
    if is_inverted(view.seed, view.image):
        film = np.uint16(4095 << 4) - film
    encoded = _png(film)
    path.write_bytes(encoded[: len(encoded) // 3] if image.spoiled == "truncated" else encoded)
    if image.spoiled == "truncated":
        return []
    return [Lesion(view.image, name, _png(mask.astype(np.uint8) * 255)) for name, mask in masks.items()]


def _png(pixels: np.ndarray) -> bytes:
    done, buffer = cv2.imencode(".png", pixels, _PNG)
    assert done
    return buffer.tobytes()
