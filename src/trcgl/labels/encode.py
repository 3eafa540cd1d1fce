"""Make a file of label vectors: `python -m trcgl.labels.encode --encoder NAME_OR_FOLDER --out FILE`.

Any text encoder of the transformers library can be used. A label's vector is the mean of its phrase's token vectors (as
in the sentence encoders of https://arxiv.org/abs/1908.10084), scaled to length 1.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer

from trcgl.artifacts.label_vectors import write_label_vectors
from trcgl.artifacts.vocabulary import read_vocabulary
from trcgl.runtime.errors import InputError, exit_code

VOCABULARY = Path("data/assets/padchest_vocabulary.csv")


@torch.no_grad()
def encode(phrases: Sequence[str], encoder: str, revision: str | None = None) -> np.ndarray:
    """float32 [len(phrases), d], unit rows.

    Args:
        encoder: a hub id, or a folder that transformers saved.
        revision: commit, branch or tag of a hub id; None: its main branch.

    Raises:
        InputError: transformers cannot load the encoder.
    """
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(encoder, revision=revision, trust_remote_code=False)
        model: Any = AutoModel.from_pretrained(
            encoder, revision=revision, trust_remote_code=False, use_safetensors=True
        ).eval()
    except (OSError, ValueError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(
            f"--encoder '{encoder}' cannot be loaded ({reason}); give a hub id or a folder that transformers saved"
        ) from None
    vectors = []
    for phrase in phrases:  # One at a time, because other phrases in a padded batch would change the last bits
        tokens = model(**tokenizer(phrase, return_tensors="pt", truncation=True)).last_hidden_state[0]
        vectors.append(torch.nn.functional.normalize(tokens.float().mean(0), dim=0).numpy())
    return np.stack(vectors)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m trcgl.labels.encode", description="Make a file of label vectors.")
    parser.add_argument("--encoder", required=True, help="hub id or folder of a transformers text encoder")
    parser.add_argument("--revision", help="commit, branch or tag of a hub id")
    parser.add_argument("--out", required=True, type=Path, metavar="FILE.safetensors")
    parser.add_argument("--vocabulary", default=VOCABULARY, type=Path, metavar="FILE.csv", help="columns label,phrase")
    parser.add_argument("--name", help="what the file calls the encoder; default: as given")
    options = parser.parse_args()
    table = read_vocabulary(options.vocabulary)
    vectors = encode(table["phrase"].tolist(), options.encoder, options.revision)
    write_label_vectors(options.out, options.name or options.encoder, table["label"].tolist(), vectors)


if __name__ == "__main__":
    sys.exit(exit_code(main))
