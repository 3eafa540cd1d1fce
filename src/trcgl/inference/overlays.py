"""Overlays that show where a model sees a finding: one PNG with the plain image and the image with the class map."""

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
from trcgl.inference.pretrained import ScoredBatch, TRCGLNet
from trcgl.runtime.errors import InputError
from trcgl.runtime.files import written_beside
from trcgl.runtime.plain_paths import plain_path

SIDE = 512
"""Side of the image in an overlay, in pixels. It is larger than the input of most models, because people look at it."""
BAR = 32
NAME_BYTES = 240
"""Longest file name in bytes. File systems allow 255, but the temporary name during writing is longer."""
SHIFT_IMAGES = 32


class OverlayWriter:
    """Writes overlays of each image's positive findings, or of a fixed number of its most probable findings.

    The overlay of finding `x` on `scans/a.png` is `scans/a.png.x.png` in `folder`. Here `scans/` is the part of the
    path below the folder that all images have in common.

    Args:
        folder: created if missing; other files in it stay.
        paths: all images for which overlays may be written.
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
            # Fewer pictures are repeated, because each is tried with other spots
            some = pictures[np.arange(SHIFT_IMAGES) % len(pictures)]
            self._shift = receptive_shift(self._model.classifier, some)
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
    """The deepest folder that contains all images."""
    return os.path.commonpath({plain_path(parent) for parent in {path.parent for path in paths}})


def overlay_folder(folder: Path, parent: Path, root: str) -> Path:
    """The folder for the overlays of the images in `parent`.

    Args:
        folder: the folder of all overlays.
        parent: a folder of images.
        root: the folder that all images have in common.
    """
    return folder / os.path.relpath(plain_path(parent), root)


def overlay(picture: np.ndarray, class_map: np.ndarray, title: str, shift: tuple[float, float]) -> Image.Image:
    """The plain image and the image with its class map, side by side below a title.

    Colours are relative to the largest value of the map. Evidence against the finding is not coloured.

    Args:
        picture: uint8 [S, S].
        class_map: float [h, w], evidence at each position, at any scale.
        title: the text above both images.
        shift: offset (down, right) of the area that a map's cell responds to from the centre of the cell's tile, as
            fractions of the side.
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
    """Convert findings to parts of file names that are valid on any system and all different."""
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
    """The name, cut to `limit` bytes. A cut name ends in a hash of the whole name, so that cut names stay different."""
    whole = os.fsencode(name)
    if len(whole) <= limit:
        return name
    return f"{whole[: limit - 9].decode('utf-8', 'ignore')}_{hashlib.sha256(whole).hexdigest()[:8]}"
