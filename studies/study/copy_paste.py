"""Lesions cut out of films by their masks and pasted on normal films of other patients: new images without a generator.

What it can do: the very texture of real lesions, at the place where they were, in another chest; of a few chests the
one that fits best around the lesion is taken. What it cannot: it knows only the lesions of the training images; ribs
and vessels of the first patient come along inside the mask; a border that lies on the wall or the diaphragm may end a
pixel off those of the second chest; it adds what the mask holds and takes nothing away outside it. So a pasted
dextrocardia is a second heart on the right beside the one on the left, and an azygos lobe is its fissure and what
surrounds it. Co-findings are not pasted.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
import pandas as pd

from study.pools import PoolImage
from trcgl.diffusion.sampling.graft import brightness, graft, soft_edged, surrounding, widened
from trcgl.numerics.seeding import rng
from trcgl.runtime.errors import InputError

MARGIN, EDGE = 1 / 64, 3 / 256
"""Shares of a side: the mask is widened by the first, so that the lesion's border comes along; its edge is blurred with
the second as standard deviation."""
CANDIDATES = 8
"""Normal films of which the one that fits best is taken: more would always take the same few."""


@dataclass(frozen=True)
class Paste:
    """Which lesion goes onto which film.

    Attributes:
        finding, film: of the lesion, and the image that it is cut out of.
        carrier: the normal film.
    """

    finding: str
    film: str
    carrier: str

    @property
    def pooled(self) -> PoolImage:
        """Its entry in the pool: it shows the pasted finding alone."""
        return PoolImage(self.finding, (self.finding,), f"{self.film} on {self.carrier}")


def plan_pastes(
    table: pd.DataFrame,
    class_names: Sequence[str],
    wanted: Mapping[str, int],
    seed: int,
    *,
    masked: Mapping[str, set[str]],
    misfit: Callable[[Paste], float],
) -> list[Paste]:
    """So many pastes for each finding: each of its films comes once before one comes again.

    Args:
        table: image, patient, split and a column per finding; only training images are used.
        class_names: a carrier has none of these.
        wanted: pastes by finding.
        masked: images with a usable mask, by finding; a finding without one gets no paste.
        misfit: of a lesion on a carrier; the least of a few is taken.

    Raises:
        InputError: no training image of another patient is without any finding.
    """
    train = table[table["split"] == "train"].set_index("image")
    labels, patients = train[list(class_names)], train["patient"].to_dict()
    normal = labels.index[(labels == 0).all(axis=1).fillna(False).to_numpy(dtype=bool)]
    pastes = []
    for finding, count in wanted.items():
        positive = labels.index[(labels[finding] == 1).fillna(False).to_numpy(dtype=bool)]
        films = [image for image in positive if image in masked.get(finding, set())]
        if not films or not count:
            continue
        generator = rng("copy-paste", seed, finding)
        turns = -(-count // len(films))
        chosen = np.concatenate([generator.permutation(films) for _ in range(turns)])[:count]
        carriers = generator.permutation(normal).tolist()
        for number, film in enumerate(chosen.tolist()):
            others = [image for image in carriers if patients[image] != patients[film]]
            if not others:
                raise InputError(f"no film without any finding to paste the lesion of '{film}' on")
            places = range(CANDIDATES * number, CANDIDATES * (number + 1))
            pastes.append(min((Paste(finding, film, others[k % len(others)]) for k in places), key=misfit))
    return pastes


@dataclass(frozen=True)
class Films:
    """Pictures and masks to paste from.

    Attributes:
        pixels: uint8 [S, S] by image.
        masks: by image and finding, the mask of the lesion as a PNG of any size, 255 inside.
    """

    pixels: Mapping[str, np.ndarray]
    masks: Mapping[tuple[str, str], bytes]
    _shares: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)

    def share(self, entry: Paste) -> np.ndarray:
        """Of the lesion's film in each pixel; see `soft_mask`."""
        key = entry.film, entry.finding
        if key not in self._shares:
            mask = cv2.imdecode(np.frombuffer(self.masks[key], np.uint8), cv2.IMREAD_GRAYSCALE)
            assert mask is not None
            self._shares[key] = soft_mask(mask > 127, len(self.pixels[entry.film]))
        return self._shares[key]

    def misfit(self, entry: Paste) -> float:
        """How different the two films are around the lesion; see `brightness`."""
        around = surrounding(self.share(entry))
        return brightness(self.pixels[entry.carrier], self.pixels[entry.film], around)[2]

    def pictures(self, pastes: Sequence[Paste]) -> Iterator[np.ndarray]:
        """uint8 [S, S] of each."""
        for entry in pastes:
            yield graft(self.pixels[entry.carrier], self.pixels[entry.film], self.share(entry))


def soft_mask(mask: np.ndarray, size: int) -> np.ndarray:
    """How much of each pixel is pasted: float32 [size, size] in 0..1; the mask, widened, with a soft edge.

    Args:
        mask: bool [M, M], M at least `size`.
    """
    return soft_edged(widened(mask, MARGIN), size, EDGE)
