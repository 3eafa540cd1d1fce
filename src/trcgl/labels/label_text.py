"""Parse a cell that lists labels."""

import ast
import io
import re
import tokenize
import warnings

# The form in which Python writes a list of plain texts. Everything else goes to Python's own parser, which takes ten
# times as long. Tests check that both give the same labels.
PLAIN_LIST = re.compile(r"\[(?:'[^'\\\r\n\x00]*'(?:, ?'[^'\\\r\n\x00]*')*)?\]")


def parse_list(text: str) -> list[str] | None:
    """The labels of a list in Python or JSON syntax: stripped, in order, without empty ones and repetitions.

    None if the text is not such a list. Texts without a comma between them are rejected as well, because Python would
    join two labels into one.
    """
    if PLAIN_LIST.fullmatch(text):
        labels = text.split("'")[1::2]
    else:
        try:
            with warnings.catch_warnings():
                # Warnings about backslashes that escape nothing; the backslashes stay
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
    """The labels of a text separated by '|', or of a list in brackets: stripped, without empty ones and repetitions."""
    if text.startswith("[") and text.endswith("]"):
        return parse_list(text)
    return list(dict.fromkeys(part.strip() for part in text.split("|") if part.strip()))
