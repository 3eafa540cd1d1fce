"""Where a model sees a finding: the image alone, and under the finding's class map; one PNG per finding."""

import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from trcgl.classifier.network.receptive_field import receptive_shift
from trcgl.classifier.network.spread_map import OPACITY, coloured_share
from trcgl.inference.files import absolute
from trcgl.inference.pretrained import ScoredBatch, TRCGLNet
from trcgl.runtime.errors import InputError
from trcgl.runtime.files import written_beside

SIDE = 512
"""Side of the image in an overlay, in pixels: larger than most models read, because people look at it."""
BAR = 32
NAME_BYTES = 240
"""File systems take 255, of which the file's name while it is written needs some."""
SHIFT_IMAGES = 32


class OverlayWriter:
    """Writes overlays of each image's positive findings, or of a fixed number of its likeliest ones.

    The overlay of finding `x` on `scans/a.png` is `scans/a.png.x.png` in the folder, where `scans/` is the part of the
    path below the folder that all images share.

    Args:
        folder: created if missing; other files in it stay.
        paths: all images that will be written.
        likeliest: number of findings per image; None: the positive ones.
    """

    def __init__(self, folder: Path, model: TRCGLNet, paths: Sequence[Path], likeliest: int | None = None):
        self._folder = folder
        self._model = model
        self._root = common_folder(paths)
        self._likeliest = likeliest
        self._names = _file_names(model.findings)
        self._shift: tuple[float, float] | None = None
        self.count = 0
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, batch: ScoredBatch) -> None:
        """Write the overlays of a batch that was read in two sizes: the model's, then SIDE.

        Raises:
            InputError: a file cannot be written.
        """
        pictures, large = batch.read.pictures
        if not len(pictures):
            return
        if self._shift is None:
            self._shift = receptive_shift(self._model.classifier, pictures[:SHIFT_IMAGES])
        for path, picture, probabilities, maps in zip(
            batch.read.paths, large, batch.probabilities, batch.maps, strict=True
        ):
            place = overlay_folder(self._folder, path.parent, self._root) / path.name
            for finding in self._shown(probabilities):
                title = (
                    f"{self._model.findings[finding]}   {probabilities[finding]:.2f} "
                    f"(threshold {self._model.thresholds[finding]:.2f})"
                )
                file = place.with_name(_file_name(place.name, self._names[finding]))
                try:
                    with written_beside(file) as beside:
                        overlay(picture, maps[finding], title, self._shift).save(beside)
                except OSError as error:
                    raise InputError(
                        f"{file}: cannot be written ({error.strerror}); give another name for --overlays"
                    ) from None
                self.count += 1

    def _shown(self, probabilities: np.ndarray) -> np.ndarray:
        ranked = np.argsort(-probabilities, kind="stable")
        if self._likeliest is not None:
            return ranked[: self._likeliest]
        return ranked[(probabilities >= self._model.thresholds)[ranked]]


def common_folder(paths: Sequence[Path]) -> str:
    """The folder that all images share."""
    return os.path.commonpath({absolute(parent) for parent in {path.parent for path in paths}})


def overlay_folder(folder: Path, parent: Path, root: str) -> Path:
    """Where the overlays of the images in a folder go.

    Args:
        folder: of all overlays.
        root: the folder that all images share.
    """
    return folder / os.path.relpath(absolute(parent), root)


def overlay(picture: np.ndarray, class_map: np.ndarray, title: str, shift: tuple[float, float]) -> Image.Image:
    """The image alone and under its class map, side by side below a title.

    Colour is relative to the largest value of the map; evidence against the finding is not coloured.

    Args:
        picture: uint8 [S, S].
        class_map: float [h, w], evidence at each position, at any scale.
        shift: how far below and right of the centre of their tiles the map's cells look, as shares of the side.
    """
    side = len(picture)
    share = coloured_share(class_map, side, shift)
    colours = cv2.applyColorMap((share * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)[:, :, ::-1]
    grey = np.repeat(picture[:, :, None], 3, axis=2)
    opacity = OPACITY * share[:, :, None]
    covered = (grey * (1 - opacity) + colours * opacity).astype(np.uint8)
    sheet = Image.new("RGB", (2 * side, side + BAR))
    sheet.paste(Image.fromarray(np.hstack([grey, covered])), (0, BAR))
    ImageDraw.Draw(sheet).text((8, BAR // 2), title, fill="white", anchor="lm", font=ImageFont.load_default(18))
    return sheet


def _file_names(findings: Sequence[str]) -> list[str]:
    """Findings as parts of file names that are valid on any system, all different."""
    names: list[str] = []
    for index, finding in enumerate(findings):
        name = _short(re.sub(r"\W+", "_", finding).strip("_").lower(), NAME_BYTES // 2)
        while not name or name in names:
            name = f"{name}_{index}"
        names.append(name)
    return names


def _file_name(image: str, finding: str) -> str:
    end = f".{finding}.png"
    return _short(image, NAME_BYTES - len(os.fsencode(end))) + end


def _short(name: str, limit: int) -> str:
    """A name of at most so many bytes; one that was cut ends in a hash of the whole, so that no two become one."""
    whole = os.fsencode(name)
    if len(whole) <= limit:
        return name
    return f"{whole[: limit - 9].decode('utf-8', 'ignore')}_{hashlib.sha256(whole).hexdigest()[:8]}"
