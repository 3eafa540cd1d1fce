"""The solver for generating images."""

from typing import Any

from trcgl.diffusion.generator.stock import DPMSolverMultistepScheduler


def use_solver(pipeline: Any) -> None:
    """Set the solver to DPM-Solver++ (Lu et al., arXiv 2211.01095).

    The pipeline's noise schedule and prediction type stay.
    """
    pipeline.scheduler = DPMSolverMultistepScheduler.from_config(
        pipeline.scheduler.config, algorithm_type="dpmsolver++", solver_order=2
    )
