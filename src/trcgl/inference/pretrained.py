"""A saved classifier, ready to use: `TRCGLNet.from_pretrained(folder).predict(files)`."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from trcgl.classifier.network.model import Classifier, preparation_of
from trcgl.classifier.network.predict import predict_with_maps
from trcgl.images.listing import counted, printable
from trcgl.inference.files import Found, find_images
from trcgl.inference.reading import ReadBatch, read_batches
from trcgl.numerics.device import pick_device
from trcgl.runtime.errors import InputError
from trcgl.runtime.logging import get_logger, progress
from trcgl.runtime.memory import naming_the_knob

log = get_logger("predict")

BATCH_SIZE = 64


@dataclass(frozen=True)
class ScoredBatch:
    """A model's outputs for some images.

    Attributes:
        read: the images.
        probabilities: float32 [n, C].
        maps: float32 [n, C, h, w], class maps: the evidence at each position.
    """

    read: ReadBatch
    probabilities: np.ndarray
    maps: np.ndarray


class TRCGLNet:
    """A saved classifier with everything that it needs to read image files.

    Attributes:
        classifier: the network, in evaluation mode.
        name: what messages call it.
        findings: C names, in the order of its outputs.
        thresholds: float64 [C]; a finding counts as present if its probability reaches the threshold.
        preparation: how a file becomes an input image.
        size: side of an input image in pixels.
    """

    def __init__(self, classifier: Classifier, name: str = "the model"):
        self.classifier, self.name = classifier.eval(), name
        self.preparation = preparation_of(classifier, name)
        self.findings = classifier.config.class_names
        self.size = classifier.config.image_size
        # Not float32: a threshold between two neighbouring probabilities would be rounded to one of them
        self.thresholds = np.array([classifier.thresholds[finding] for finding in self.findings], np.float64)

    @classmethod
    def from_pretrained(cls, folder: str | Path, *, device: str = "auto") -> "TRCGLNet":
        """Load a model from the folder that `train_classifier` or `train_baseline` wrote; no other file is read.

        Args:
            folder: holds model.safetensors, config.json, classes.json, thresholds.json and calibration.json.
            device: `auto` (CUDA if available), `cpu`, `cuda` or `cuda:1`.

        Raises:
            InputError: the folder does not hold a saved classifier, or the device does not exist.
        """
        classifier = Classifier.load(folder)
        return cls(classifier.to(pick_device(device, "the device")), str(folder))

    def __repr__(self) -> str:
        config = self.classifier.config
        return (
            f"TRCGLNet({config.backbone} with head {config.head}, {len(self.findings)} findings, "
            f"images of {self.size} px, on {self.classifier.pixel_mean.device})"
        )

    def predict(
        self, images: str | Path | Iterable[str | Path], *, batch_size: int = BATCH_SIZE, inverted: bool = False
    ) -> pd.DataFrame:
        """Predict the findings in image files.

        Args:
            images: a file, folder or pattern, or several; see `find_images`.
            batch_size: images per forward pass.
            inverted: whether air is bright in all of these images, as in those that a label table calls MONOCHROME1. A
                DICOM file states it itself.

        Returns:
            One row per image and finding: image, finding, probability (0..1), positive (whether it reaches the
            threshold), threshold. Images that cannot be read have no rows: they are logged, and
            `table.attrs["unreadable"]` maps them to the reason.

        Raises:
            InputError: no image is given, or none can be read; or the model's outputs are not finite.
        """
        found = find_images(
            images if isinstance(images, Iterable) and not isinstance(images, str | bytes) else [images]
        )
        log_left_out(found)
        paths = found.images
        parts: list[pd.DataFrame] = []
        unreadable: dict[str, str] = {printable(path): reason for path, reason in found.closed}
        for batch in self.score(paths, batch_size=batch_size, inverted=inverted):
            parts.append(self.rows(batch))
            unreadable |= {printable(path): reason for path, reason in batch.read.unreadable}
        table = pd.concat(parts, ignore_index=True)
        check_some_read(paths, len(table))
        table.attrs["unreadable"] = unreadable
        return table

    def score(
        self,
        paths: Sequence[Path],
        *,
        batch_size: int = BATCH_SIZE,
        also: Sequence[int] = (),
        inverted: bool = False,
    ) -> Iterator[ScoredBatch]:
        """Score any number of images batch by batch. Every unreadable image is logged.

        Args:
            also: further image sizes that `ScoredBatch.read` contains, after the model's own size.
            inverted: see `predict`.

        Raises:
            InputError: a batch does not fit into the device's memory, or the model's outputs are not finite.
        """
        if batch_size < 1:
            raise InputError(f"a batch of {batch_size} images is asked for; give a whole number above 0")
        # A larger one would only be a larger number of files to look ahead
        batch_size = min(batch_size, max(len(paths), 1))
        with progress((), total=len(paths), what="predict") as bar:
            for read in read_batches(paths, self.preparation, (self.size, *also), batch_size, inverted=inverted):
                for path, reason in read.unreadable:
                    log.warning("unreadable: %s: %s", printable(path), reason)
                yield self._scored(read, batch_size)
                bar.update(len(read.paths) + len(read.unreadable))

    def rows(self, batch: ScoredBatch) -> pd.DataFrame:
        """The rows of a batch, as `predict` returns them."""
        return self._rows([printable(path) for path in batch.read.paths], batch.probabilities)

    def no_rows(self) -> pd.DataFrame:
        """An empty table with the columns of `rows`."""
        return self._rows([], np.empty((0, len(self.findings)), np.float32))

    def _rows(self, images: list[str], probabilities: np.ndarray) -> pd.DataFrame:
        return pd.DataFrame(
            {
                "image": pd.Series(np.repeat(np.array(images, object), len(self.findings)), dtype="str"),
                "finding": pd.Series(np.tile(np.array(self.findings, object), len(images)), dtype="str"),
                "probability": probabilities.ravel(),
                "positive": (probabilities >= self.thresholds).ravel(),
                "threshold": np.tile(self.thresholds, len(images)),
            }
        )

    def _scored(self, read: ReadBatch, batch_size: int) -> ScoredBatch:
        pictures = read.pictures[0]
        if not len(pictures):
            none = np.empty((0, len(self.findings)), np.float32)
            return ScoredBatch(read, none, none[:, :, None, None])
        with naming_the_knob(f"the batch size (--batch-size, now {batch_size})"):
            probabilities, maps = predict_with_maps(self.classifier, pictures, batch_size=batch_size)
        if not np.isfinite(probabilities).all():
            raise InputError(
                f"{self.name}: gives probabilities that are not numbers, so a weight is damaged; copy or train it again"
            )
        return ScoredBatch(read, probabilities, maps)


def log_left_out(found: Found) -> None:
    """Log the files that are not read, because they are not images or cannot be opened."""
    for line in counted(found.skipped):
        log.info("skipped %s", line)
    for path, reason in found.closed:
        log.warning("unreadable: %s: %s", printable(path), reason)


def check_some_read(paths: Sequence[Path], read: int) -> None:
    """Raise an InputError if none of the images could be read."""
    if not read:
        first = printable(paths[0])
        more = f"none of {len(paths)} images could be read; the first: {first}"
        raise InputError(more if len(paths) > 1 else f"the image could not be read: {first}")
