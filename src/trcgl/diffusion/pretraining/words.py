"""A CLIP tokenizer for a text encoder that is trained from scratch: every word of the prompts is one token."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from tokenizers.pre_tokenizers import ByteLevel
from transformers import CLIPTokenizer

START, END = "<|startoftext|>", "<|endoftext|>"
WORD_END = "</w>"
LENGTH = 48
"""Tokens of a prompt; a finding takes two to eight. Shorter than CLIP's 77: attention over padding costs time."""


def word_tokenizer(prompts: Sequence[str], length: int = LENGTH) -> CLIPTokenizer:
    """A stock CLIPTokenizer (byte-level BPE) whose merges join each word of `prompts` into one token.

    Words that are not in `prompts` are split into known pieces. The result depends on the set of words alone. The
    trainer of the tokenizers library is not used, because it numbers the letters differently in every run.
    """
    backend: Any = CLIPTokenizer().backend_tokenizer
    words = {
        word
        for prompt in set(prompts)
        for word, _ in backend.pre_tokenizer.pre_tokenize_str(backend.normalizer.normalize_str(prompt))
    }
    ranks: dict[tuple[str, str], int] = {}
    for word in sorted(words):
        # A new merge has lower priority than all earlier ones, so it never changes how an earlier word is joined
        while len(pieces := _pieces(word, ranks)) > 1:
            ranks[pieces[0], pieces[1]] = len(ranks)
    letters = sorted(ByteLevel.alphabet())
    tokens = [
        *letters,
        *(letter + WORD_END for letter in letters),
        *(left + right for left, right in ranks),
        START,
        END,
    ]
    merges: Any = list(ranks)
    return CLIPTokenizer(
        vocab={token: i for i, token in enumerate(dict.fromkeys(tokens))},
        merges=merges,
        unk_token=END,
        bos_token=START,
        eos_token=END,
        pad_token=END,
        model_max_length=length,
    )


def _pieces(word: str, ranks: dict[tuple[str, str], int]) -> list[str]:
    """Byte-pair encoding: join the known pair of lowest rank, until no pair is known."""
    pieces = [*word[:-1], word[-1] + WORD_END]
    while True:
        known = [(ranks[pair], i) for i, pair in enumerate(pairwise(pieces)) if pair in ranks]
        if not known:
            return pieces
        _, i = min(known)
        pieces[i : i + 2] = [pieces[i] + pieces[i + 1]]
