"""For one run of a study: the pipeline's own stage scripts fine-tune a generator, sample from it, audit the samples."""

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from study.parameters import Pipeline
from study.places import ROOT
from study.workplace import run_stages
from trcgl.runtime.checkpoint import ResumePoint
from trcgl.runtime.files import directory_beside

STAGES = ("finetune_diffusion", "sample_tail", "audit_synthetic")
LINKED = ("images", "labels")
READ = (
    "images/diffusion/index.parquet", "images/classifier/index.parquet", "labels/labels.parquet", "labels/classes.json",
)  # fmt: skip
"""Of the study's data; the indices have the hashes of the images."""
KEPT = ("data/synthetic", "data/synthetic_audit.parquet", "metrics/synthetic.json", "metrics/synthetic_per_class.csv")


@contextmanager
def drawn_images(
    name: str, study: Pipeline, values: Any, judge: Path, out: Path, *, inputs: Iterable[Path] = ()
) -> Iterator[tuple[Path, Path]]:
    """Fine-tune, sample and audit; an interrupted run continues.

    Args:
        name: name of the run's resumable state.
        values: values of the params file that the stages read.
        judge: folder of the saved classifier that audits the generated images; it is not trained here.
        out: the folder that `KEPT` is copied to; it is replaced as a whole when the caller leaves the block.
        inputs: what the result depends on besides the study's data, the shipped assets, the judge and the scripts.

    Yields:
        The folder in which the stages ran, and the one that becomes `out`.
    """
    links = {part: study.data / part for part in LINKED} | {"assets": ROOT / "data/assets", "models/baseline": judge}
    resume = ResumePoint(
        name,
        params=values,
        inputs=[
            *(ROOT / "stages" / f"{stage}.py" for stage in STAGES),
            *(study.data / part for part in READ),
            ROOT / "data/assets",
            judge,
            *inputs,
        ],
    )
    work = run_stages(ROOT, STAGES, values, links, resume)
    with directory_beside(out) as folder:
        # Copied, not moved: a run killed here still finds everything. The models are not copied: nothing needs them
        for kept in KEPT:
            copy = shutil.copytree if (work / kept).is_dir() else shutil.copy
            copy(work / kept, folder / Path(kept).name)
        yield work, folder
    resume.clear()
