"""Default parameters of `trcgl evaluate` if there is no params.yaml; the same values as in the shipped file."""

from pathlib import Path

from trcgl.config import ComputeParams, EvaluationParams, load_params
from trcgl.runtime.errors import InputError

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
    try:
        params = load_params(file or SHIPPED)
    except InputError as error:
        found = "" if file else "; it is read because it lies in the current folder: --params names another one"
        raise InputError(f"{error}{found}") from None
    return params.evaluation, params.compute
