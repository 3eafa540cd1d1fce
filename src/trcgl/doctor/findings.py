"""Check that files which know findings by name know those of this run."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from trcgl.artifacts.label_vectors import read_label_vectors
from trcgl.config import Params
from trcgl.doctor.said import Said, refused
from trcgl.runtime.errors import InputError

WITH_LABEL_VECTORS = ("mlgcn", "trcgl")
"""Heads that need a vector per finding."""


def check_findings(params: Params, findings: Sequence[str]) -> Iterator[Said]:
    """Label vectors without one of the findings; a detector that knows none of them.

    A file that is missing is reported elsewhere.
    """
    vectors, detector = params.classifier.label_vectors, params.audit.detector
    if params.classifier.head in WITH_LABEL_VECTORS and vectors is not None and Path(vectors).exists():
        try:
            read_label_vectors(vectors, findings)
        except InputError as error:
            yield refused("classifier.label_vectors", error)
    if params.diffusion.base is not None and detector is not None and Path(detector).exists():
        from trcgl.audit.detector import load_detector

        try:
            load_detector(detector, list(findings))
        except InputError as error:
            yield refused("audit.detector", error)
