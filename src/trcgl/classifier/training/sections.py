"""The section of the params file that configures a training, for messages: the two sections have the same keys."""

from trcgl.config import ClassifierParams, TrainingParams


def section_of(params: TrainingParams) -> str:
    """`classifier` or `baseline`."""
    return "classifier" if isinstance(params, ClassifierParams) else "baseline"


def lower_rates(section: str) -> str:
    """The remedy that messages suggest when a training diverges."""
    return f"lower '{section}.lr' and '{section}.head_lr'"
