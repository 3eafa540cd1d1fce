"""The overlays that turn the shipped params.yaml into one for a data set at a scale."""

from pathlib import Path

PRESETS = Path("presets")
"""In the project's folder."""
SCALES = ("cpu", "gpu")
SHIPPED = "phantom"
"""The data set of params.yaml itself, which is sized for two CPU cores: at the scale cpu nothing is laid over it."""
ON_CPU = (SHIPPED, "nih", "folder")
"""Data sets that come at the scale cpu unless asked otherwise: the drawn one, and those of which a part will do."""


def usual_scale(dataset: str) -> str:
    return "cpu" if dataset in ON_CPU else "gpu"


def overlay_files(dataset: str, scale: str, folder: Path = PRESETS) -> list[Path]:
    """The overlays in the order in which they are applied to params.yaml: scale, data set, data set at that scale."""
    if dataset == SHIPPED:
        return [] if scale == "cpu" else [folder / f"scale/{scale}.yaml"]
    special = folder / f"{dataset}.{scale}.yaml"
    return [folder / f"scale/{scale}.yaml", folder / f"{dataset}.yaml", *([special] if special.exists() else [])]
