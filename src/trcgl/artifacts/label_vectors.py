"""Label vectors: a text encoder's embedding of each label's phrase, in one small file.

A safetensors file with one float16 tensor `vectors` [N, d], whose rows have unit length, and one metadata key,
`labels`: JSON with the encoder's name and the N labels. There is only one key, because the order in which several keys
are written differs between processes.
"""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from trcgl.runtime.errors import InputError
from trcgl.runtime.files import written_beside

TENSOR, METADATA = "vectors", "labels"
MAKE = "python -m trcgl.labels.encode"


def write_label_vectors(path: str | Path, encoder: str, labels: Sequence[str], vectors: np.ndarray) -> None:
    """Write `vectors` [N, d] for N labels, atomically, in half precision; equal content gives equal bytes."""
    metadata = {METADATA: json.dumps({"encoder": encoder, "names": list(labels)}, ensure_ascii=False)}
    with written_beside(path) as beside:
        save_file({TENSOR: vectors.astype(np.float16)}, beside, metadata)


def read_label_vectors(path: str | Path, labels: Sequence[str]) -> np.ndarray:
    """The vectors of `labels`, float32 [len(labels), d], looked up by exact name.

    Raises:
        InputError: no such file, another kind of file, names and vectors that do not belong together, values that are
            not finite, or a label without a vector; the message says how to create the file.
    """
    try:
        with safe_open(path, "numpy") as file:
            names = json.loads(file.metadata()[METADATA])["names"]
            vectors = file.get_tensor(TENSOR)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: not a file of label vectors ({error}); for making one see {MAKE} --help") from None
    if wrong := _wrong(names, vectors):
        raise InputError(f"{path}: {wrong}; for making such a file see {MAKE} --help")
    row = {name: i for i, name in enumerate(names)}
    missing = [label for label in labels if label not in row]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise InputError(
            f"{path}: no vector for '{missing[0]}'{more}; add it to a vocabulary and make the file again: "
            f"{MAKE} --vocabulary FILE.csv --encoder NAME --out {path}"
        )
    return vectors[[row[label] for label in labels]].astype(np.float32)


def _wrong(names: object, vectors: np.ndarray) -> str:
    """What is wrong with the content of a file; an empty text if nothing is."""
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return "its labels are not a list of names"
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        return f"the label '{twice[0]}' has {names.count(twice[0])} vectors"
    if vectors.ndim != 2 or len(vectors) != len(names):
        return f"its vectors have the shape {list(vectors.shape)}, and not a row for each of its {len(names)} labels"
    if not np.isfinite(vectors).all():
        bad = names[int(np.argmin(np.isfinite(vectors).all(axis=1)))]
        return f"the vector of '{bad}' has values that are not numbers"
    return ""
