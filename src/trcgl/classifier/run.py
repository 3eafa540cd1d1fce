"""A training run from files to files: what the stages and the studies share."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from trcgl.classifier.backbone import warn_if_seen
from trcgl.classifier.data import load_training_data
from trcgl.classifier.train import Trained, train
from trcgl.config import Params, TrainingParams
from trcgl.graph.cooccurrence import Cooccurrence
from trcgl.images.preparation import Preparation
from trcgl.runtime.checkpoint import ResumePoint
from trcgl.runtime.files import write_csv


@dataclass(frozen=True)
class TrainingFiles:
    """What a run reads.

    Attributes:
        images: folder of cached images.
        labels, classes: labels.parquet and classes.json.
        graph: cooccurrence.npz, for a head with a label graph.
        synthetic, audit: generated images and synthetic_audit.parquet, or neither.
    """

    images: Path
    labels: Path
    classes: Path
    graph: Path | None = None
    synthetic: Path | None = None
    audit: Path | None = None

    def hashed(self) -> list[Path]:
        """The files a resumed run depends on; pixels follow from their index and the parameters that made them."""
        given = (self.images / "index.parquet", self.labels, self.classes, self.graph, self.synthetic, self.audit)
        return [path for path in given if path is not None]


def train_and_save(
    name: str,
    params: Params,
    training: TrainingParams,
    files: TrainingFiles,
    *,
    model: Path | None,
    history: Path,
    steps_per_epoch: int | None = None,
) -> Trained:
    """Train one classifier and write it; an interrupted run of the same inputs, parameters and code continues.

    Args:
        name: of the run's resumable state.
        params: everything but the training section.
        training: `params.baseline`, `params.classifier`, or one like them.
        model, history: what is written, a folder (None: nothing but what is returned) and a CSV.
        steps_per_epoch: see `train`.
    """
    torch.set_num_threads(params.compute.threads)
    warn_if_seen(training.weights_have_seen, params.dataset.name)
    hashed = files.hashed()
    if training.initial_weights is not None and Path(training.initial_weights).is_file():
        hashed.append(Path(training.initial_weights))
    resume = ResumePoint(
        name, params=(training, params.compute, params.images, params.dataset, steps_per_epoch), inputs=hashed
    )
    data = load_training_data(files.images, files.labels, files.classes, synthetic=files.synthetic, audit=files.audit)
    conditional = None if files.graph is None else Cooccurrence.load(files.graph).conditional_for(data.class_names)
    trained = train(
        training, data, params.compute, conditional=conditional, steps_per_epoch=steps_per_epoch, resume=resume
    )
    if model is not None:
        # What the trainer, which sees arrays only, cannot know
        trained.model.config = replace(
            trained.model.config,
            preparation=Preparation.from_params(params.images),
            weights_have_seen=tuple(dict.fromkeys((*training.weights_have_seen, params.dataset.name))),
        )
        trained.model.save(model)
    write_csv(history, trained.history)
    resume.clear()
    return trained
