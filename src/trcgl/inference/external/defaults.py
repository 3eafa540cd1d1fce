"""What `trcgl evaluate` does where there is no params.yaml: as the shipped one says."""

from pathlib import Path

from trcgl.config import ComputeParams, EvaluationParams, load_params

SHIPPED = Path("params.yaml")
EVALUATION = EvaluationParams(
    bootstrap_samples=1000, overlays_per_finding=2, test_time_shift=0.0, test_time_scale=0.0, test_time_flip=False
)
COMPUTE = ComputeParams(threads=2, device="auto", precision="auto", compile=False, workers=None)


def how_to_evaluate(file: Path | None) -> tuple[EvaluationParams, ComputeParams]:
    """Of the params file that is given, else of params.yaml in the current folder, else the above.

    Raises:
        InputError: as `load_params`.
    """
    if file is None and not SHIPPED.exists():
        return EVALUATION, COMPUTE
    params = load_params(file or SHIPPED)
    return params.evaluation, params.compute
