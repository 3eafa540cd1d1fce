"""The solver that images are drawn with."""

from typing import Any

from trcgl.diffusion.generator.stock import DPMSolverMultistepScheduler


def use_solver(pipeline: Any) -> None:
    """Give the pipeline DPM-Solver++ (Lu et al., arXiv 2211.01095) over its own noise schedule and prediction type."""
    pipeline.scheduler = DPMSolverMultistepScheduler.from_config(
        pipeline.scheduler.config, algorithm_type="dpmsolver++", solver_order=2
    )
