"""The solver for generating images."""

from collections.abc import Mapping
from typing import Any

from trcgl.diffusion.generator.stock import DPMSolverMultistepScheduler


def use_solver(pipeline: Any) -> None:
    """Set the solver to DPM-Solver++ (Lu et al., arXiv 2211.01095).

    The pipeline's noise schedule and prediction type stay.
    """
    pipeline.scheduler = solver_of(pipeline.scheduler.config)


def solver_of(settings: Mapping[str, Any]) -> Any:
    """The solver for a base whose scheduler has these settings."""
    return DPMSolverMultistepScheduler.from_config(settings, algorithm_type="dpmsolver++", solver_order=2)
