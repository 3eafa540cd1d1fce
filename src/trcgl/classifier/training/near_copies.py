"""Finds images that nearly equal an image of another split, without comparing all pairs.

Thumbnails are hashed by the signs of random projections (Charikar, 2002, https://doi.org/10.1145/509907.509965). For
two thumbnails of correlation c, a sign differs with probability arccos(c) / pi, whatever the images. Two images are
compared if all BITS signs agree in at least one of TABLES tables. For a pair at ALIKE, the lowest correlation that
counts, this happens in one table with probability 0.26, so all tables miss the pair once in a million times. Closer
pairs are missed less often (0.99: 6e-9). Most of the work is the hashing, which is linear in the number of images; of
100,000 images, fewer than one pair in 250 agrees in a table.
"""

import hashlib
from collections.abc import Iterator

import cv2
import numpy as np

from trcgl.artifacts.shards import ShardedImages
from trcgl.numerics.seeding import rng

SIDE = 32
"""Pixels of the thumbnails that are compared."""
BLUR = 2.0
"""Standard deviation, in thumbnail pixels, of the blur that is subtracted: all chests share the broad structures."""
ALIKE = 0.985
"""Lowest correlation of an image and its copy. Measured: copies that are scaled by 7/8, compressed (JPEG, quality 60)
and changed in contrast have 0.984 or more (median 0.994 on real X-rays, 0.997 on phantoms). Images of different
patients have at most 0.895 among 1,670 real X-rays and 0.975 among 2,973 phantoms."""
BITS, TABLES = 24, 47
OUTLINE = 16
"""Number of principal components of the thumbnails; distances in them are never larger than in all dimensions."""
BLOCK = 4096
PAIRS = 1 << 21
"""Number of pairs processed together."""


def near_copies(shards: ShardedImages, names: list[str], splits: np.ndarray) -> list[tuple[str, str]]:
    """Every validation or test image that is a near copy of an image of another split, paired with that image.

    Images without any detail are not near copies of any image.
    """
    # Numbers, because comparing arrays of strings is a hundred times slower
    split_codes = np.unique(splits, return_inverse=True)[1].astype(np.int8)
    traces, codes, outlines = _hashed(shards, names)
    # One image represents all equal images of a split: a thousand copies of a blank page would be a million pairs
    _, first, stands_for = np.unique(
        np.array([f"{split} {trace}" for split, trace in zip(split_codes, traces, strict=True)], dtype="S40"),
        return_index=True,
        return_inverse=True,
    )
    first = first[[bool(traces[i]) for i in first]]
    best: dict[int, tuple[float, int]] = {}
    for one, other in _candidates(first, splits != "train", split_codes, codes, outlines):
        alike = _correlations(shards, names, one, other)
        for i, j, value in zip(one.tolist(), other.tolist(), alike.tolist(), strict=True):
            if value >= ALIKE and (value, -j) > best.get(i, (-1.0, 0)):
                best[i] = value, -j
    found = {int(stands_for[i]): -place for i, (_, place) in best.items()}
    asked = [i for i in np.flatnonzero(splits != "train").tolist() if int(stands_for[i]) in found]
    return [(names[i], names[found[int(stands_for[i])]]) for i in asked]


def _hashed(shards: ShardedImages, names: list[str]) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Hash of each thumbnail ("" without detail), codes [TABLES, n], and principal components [n, OUTLINE]."""
    generator = rng("near copies", 0)
    some = [names[i] for i in sorted(generator.permutation(len(names))[:BLOCK])]
    _, components = np.linalg.eigh(np.cov(thumbnails(shards.read(some)).T) if len(some) > 1 else np.eye(SIDE**2))
    planes = generator.standard_normal((SIDE**2, TABLES * BITS), dtype=np.float32)
    traces: list[str] = []
    codes = np.empty((TABLES, len(names)), np.int32)
    outlines = np.empty((len(names), OUTLINE), np.float32)
    for start in range(0, len(names), BLOCK):
        block = slice(start, start + BLOCK)
        fine = thumbnails(shards.read(names[block]))
        traces += [hashlib.blake2b(row, digest_size=16).hexdigest() if row.any() else "" for row in fine]
        signs = (fine @ planes > 0).reshape(len(fine), TABLES, BITS)
        codes[:, block] = (signs @ (1 << np.arange(BITS, dtype=np.int32))).T
        outlines[block] = fine @ components[:, -OUTLINE:]
    return traces, codes, outlines


def _candidates(
    searched: np.ndarray, asked: np.ndarray, splits: np.ndarray, codes: np.ndarray, outlines: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Candidate pairs, which agree in a table: an image selected by `asked`, and an image of another split.

    Some pairs come twice.

    Args:
        searched: indices of the images to compare.
        asked: bool [n], the images whose near copies are wanted.
        splits: [n] as numbers.
    """
    farthest = 2 * (1 - ALIKE) + 1e-4  # squared distance of two unit vectors, with a margin for rounding
    wanted = searched[asked[searched]]
    for code in codes:
        order = searched[np.argsort(code[searched], kind="stable")]
        low, high = (np.searchsorted(code[order], code[wanted], side=side) for side in ("left", "right"))
        total = np.cumsum(high - low)
        for part in np.split(np.arange(len(wanted)), np.searchsorted(total, np.arange(PAIRS, total[-1:].sum(), PAIRS))):
            count = high[part] - low[part]
            one = np.repeat(wanted[part], count)
            within = np.arange(len(one)) - np.repeat(np.cumsum(count) - count, count)
            other = order[np.repeat(low[part], count) + within]
            apart = splits[one] != splits[other]
            one, other = one[apart], other[apart]
            near = ((outlines[one] - outlines[other]) ** 2).sum(axis=1) <= farthest
            if near.any():
                yield one[near], other[near]


def _correlations(shards: ShardedImages, names: list[str], one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Correlations, float64 [p], of the two thumbnails of each pair."""
    found = np.empty(len(one))
    for start in range(0, len(one), BLOCK):
        block = slice(start, start + BLOCK)
        images, place = np.unique(np.concatenate([one[block], other[block]]), return_inverse=True)
        fine = thumbnails(shards.read([names[i] for i in images])).astype(np.float64)
        first, second = np.split(place, 2)
        found[block] = np.einsum("ij,ij->i", fine[first], fine[second])
    return found


def thumbnails(images: np.ndarray) -> np.ndarray:
    """uint8 [n, S, S] -> float32 [n, SIDE * SIDE], minus their blurred versions, with mean 0 and length 1."""
    small = np.stack([cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for image in images])
    small = small.astype(np.float32)
    fine = np.stack([image - cv2.GaussianBlur(image, (0, 0), BLUR) for image in small]).reshape(len(small), -1)
    fine -= fine.mean(axis=1, keepdims=True)
    return fine / np.maximum(np.linalg.norm(fine, axis=1, keepdims=True), 1e-6)
