"""Numbers in text files have 10 significant digits, so that files from two machines differ only where results do.

Processors differ in the last of 16 digits of a computed number. Without rounding, the files' hashes would differ too,
although every image and weight is the same. A number that is written, read back and used in computations is also
rounded before its first use, so that memory and file agree.
"""

import math
from typing import Any

import numpy as np
import pandas as pd

DIGITS = 10


def rounded(value: float) -> float:
    """The number with DIGITS significant digits; NaN and infinity stay."""
    return float(f"{value:.{DIGITS}g}")


def rounded_values(value: Any) -> Any:
    """A value for JSON with every float in it rounded."""
    if isinstance(value, float):
        return rounded(value)
    if isinstance(value, dict):
        return {key: rounded_values(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded_values(item) for item in value]
    return value


def json_numbers(value: Any) -> Any:
    """A value for JSON with null in place of every number that is not finite."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: json_numbers(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_numbers(item) for item in value]
    return value


def rounded_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """A table with all double-precision numbers rounded; single-precision numbers have fewer digits anyway."""
    columns = {}
    for name, column in frame.items():
        if column.dtype in (np.float64, object):
            columns[name] = column.map(rounded_values)
    return frame.assign(**columns)
