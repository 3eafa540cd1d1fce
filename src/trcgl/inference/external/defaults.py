"""Default parameters of `trcgl evaluate` if there is no params.yaml; the same values as in the shipped file."""

from pathlib import Path

from trcgl.config import ComputeParams, EvaluationParams, load_params

SHIPPED = Path("params.yaml")
EVALUATION = EvaluationParams(
    bootstrap_samples=1000, overlays_per_finding=2, test_time_shift=0.0, test_time_scale=0.0, test_time_flip=False
)
COMPUTE = ComputeParams(threads=2, device="auto", precision="auto", compile=False, workers=None)


def how_to_evaluate(file: Path | None) -> tuple[EvaluationParams, ComputeParams]:
    """Parameters from `file` if given, else from params.yaml in the current folder if it exists, else the defaults.

    Raises:
        InputError: as for `load_params`.
    """
    if file is None and not SHIPPED.exists():
        return EVALUATION, COMPUTE
    params = load_params(file or SHIPPED)
    return params.evaluation, params.compute
