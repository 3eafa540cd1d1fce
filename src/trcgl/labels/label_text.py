"""A cell that lists labels -> its labels."""

import ast
import io
import re
import tokenize
import warnings

# What Python writes for a list of plain texts; everything else goes to Python's own parser, which takes ten times as
# long. Tests hold that both read the same.
PLAIN_LIST = re.compile(r"\[(?:'[^'\\\r\n\x00]*'(?:, ?'[^'\\\r\n\x00]*')*)?\]")


def parse_list(text: str) -> list[str] | None:
    """A label list written as Python or JSON text: stripped, no empty one, no repetition, in order; None if it is none.

    Texts with no comma between them are none: Python would join two labels into one.
    """
    if PLAIN_LIST.fullmatch(text):
        labels = text.split("'")[1::2]
    else:
        try:
            with warnings.catch_warnings():
                # Of backslashes that escape nothing; they stay
                warnings.simplefilter("ignore")
                labels = ast.literal_eval(text)
            if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
                return None
            tokens = tokenize.generate_tokens(io.StringIO(text).readline)
            if sum(token.type == tokenize.STRING for token in tokens) != len(labels):
                return None
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError, tokenize.TokenError):
            return None
    return list(filter(None, dict.fromkeys(map(str.strip, labels))))


def split_labels(text: str) -> list[str] | None:
    """The labels of a text with '|' between them, or of a list in brackets: stripped, no empty one, no repetition."""
    if text.startswith("[") and text.endswith("]"):
        return parse_list(text)
    return list(dict.fromkeys(part.strip() for part in text.split("|") if part.strip()))
