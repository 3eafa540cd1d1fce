"""The training data of a base: cached images of one or more hospitals. Each hospital has its own prompt wording."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from trcgl.artifacts.class_list import read_classes
from trcgl.artifacts.shards import ShardedImages
from trcgl.artifacts.vocabulary import phrases
from trcgl.diffusion.generator.prompts import prompts_of
from trcgl.diffusion.generator.rows import ABOUT, class_names, labelled_rows
from trcgl.diffusion.generator.wording import Wording, prompt_text
from trcgl.runtime.errors import InputError
from trcgl.runtime.files import read_parquet


@dataclass(frozen=True)
class Source:
    """A data folder that the pipeline stages have written, and the wording of its prompts."""

    data: Path
    wording: Wording

    @property
    def images(self) -> Path:
        return self.data / "images/diffusion"

    @property
    def labels(self) -> Path:
        return self.data / "labels/labels.parquet"

    @property
    def classes(self) -> Path:
        return self.data / "labels/classes.json"


@dataclass(frozen=True)
class Prompted:
    """Images of one split of all sources, with their prompts and findings, in the same order.

    Attributes:
        wordings: one wording per source.
    """

    images: list[str]
    prompts: list[str]
    findings: list[tuple[str, ...]]
    wordings: tuple[Wording, ...]

    def without_findings(self) -> list[str]:
        """For each source, its prompt for an image about which nothing is known."""
        return [prompt_text(wording, "", [], {}) for wording in self.wordings]


def prompted(sources: Sequence[Source], split: str, vocabulary: str) -> Prompted:
    """The labelled images of a split, as far as their pixels are in the cache.

    Raises:
        InputError: a label table lacks a finding.
    """
    images, prompts, findings = [], [], []
    for source in sources:
        classes, table = read_classes(source.classes), read_parquet(source.labels, ABOUT)
        rows = labelled_rows(table, classes, list(ShardedImages(source.images).index["image"]), split)
        images += rows.images
        findings += rows.findings
        prompts += prompts_of(rows, source.wording, phrases(class_names(classes), vocabulary))
    return Prompted(images, prompts, findings, tuple(source.wording for source in sources))


class JoinedImages(ShardedImages):
    """Several folders of shards, read as if they were one."""

    def __init__(self, folders: Sequence[Path]):
        """Open the folders.

        Raises:
            InputError: as for ShardedImages; or an image is in two folders, or the image sizes of the folders differ.
        """
        self._parts = [ShardedImages(folder) for folder in folders]
        self._part = {str(name): part for part in self._parts for name in part.index["image"]}
        self.folder, self.size = self._parts[0].folder, self._parts[0].size
        self.index = pd.concat([part.index for part in self._parts], ignore_index=True)
        for part in self._parts:
            if part.size != self.size:
                raise InputError(
                    f"{part.folder}: {part.size} px, but {self.folder} has {self.size} px; make them alike"
                )
        if len(self._part) < len(self.index):
            twice = self.index["image"][self.index["image"].duplicated()].iloc[0]
            raise InputError(f"{self.folder}: image '{twice}' is in another of the base's folders, too; remove one")

    def __len__(self) -> int:
        return len(self._part)

    def __contains__(self, image: str) -> bool:
        return image in self._part

    def __repr__(self) -> str:
        return f"JoinedImages({self._parts!r})"

    def read(self, images: Sequence[str]) -> np.ndarray:
        pixels = np.empty((len(images), self.size, self.size), dtype=np.uint8)
        for i, image in enumerate(images):
            pixels[i] = self._part[image].read([image])[0]
        return pixels
