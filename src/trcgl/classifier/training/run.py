"""A training run from input files to output files, used by the stages and by the studies."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from trcgl.artifacts.preparation import Preparation
from trcgl.classifier.network.backbone import warn_if_seen
from trcgl.classifier.training.data import TrainingData, load_training_data
from trcgl.classifier.training.sections import section_of
from trcgl.classifier.training.train import Trained, train
from trcgl.config import ClassifierParams, Params, TrainingParams
from trcgl.graph.cooccurrence import Cooccurrence
from trcgl.metrics import average_precision, group_means
from trcgl.numerics.device import computed_in, pick_device, use_threads
from trcgl.numerics.processes import training_together
from trcgl.runtime.checkpoint import ResumePoint
from trcgl.runtime.compiling import naming_the_compiler
from trcgl.runtime.cores import warn_if_crowded
from trcgl.runtime.files import write_csv, write_json
from trcgl.runtime.memory import naming_the_knob


@dataclass(frozen=True)
class TrainingFiles:
    """The input files of a run.

    Attributes:
        images: folder of cached images.
        labels, classes: labels.parquet and classes.json.
        graph: cooccurrence.npz, for a head with a label graph.
        synthetic, audit: generated images and synthetic_audit.parquet, or neither.
        places: file written by read_boxes with positions of findings, for a classifier with a `place_weight`.
    """

    images: Path
    labels: Path
    classes: Path
    graph: Path | None = None
    synthetic: Path | None = None
    audit: Path | None = None
    places: Path | None = None

    def hashed(self) -> list[Path]:
        """The files that a resumed run depends on; the index has checksums of the pixels."""
        made = (self.graph, self.synthetic, self.audit, self.places)
        given = (self.images / "index.parquet", self.labels, self.classes, *made)
        return [path for path in given if path is not None]


def train_and_save(
    name: str,
    params: Params,
    training: TrainingParams,
    files: TrainingFiles,
    *,
    model: Path | None,
    history: Path,
    validation: Path | None = None,
    steps_per_epoch: int | None = None,
    start: Path | None = None,
) -> Trained:
    """Train one classifier and save it; an interrupted run with the same inputs, parameters and code is continued.

    All processes of a launch train it together (each on its own GPU, on machines that share the project folder). Only
    the first process writes files and logs.

    Args:
        name: of the run's resumable state.
        params: everything but the training section.
        training: `params.baseline`, `params.classifier`, or one like them.
        model: folder to save the classifier to; None: it is only returned.
        history: CSV file, rewritten after every epoch, so that the curve can be viewed during training.
        validation: JSON file for the saved model's mean average precisions on validation images, see
            `validation_figures`; None: they are not written.
        steps_per_epoch, start: see `train`.
    """
    device = pick_device(params.compute.device)
    with training_together(device) as processes:
        use_threads(params.compute.threads)
        warn_if_seen(training.weights_have_seen, params.dataset.name)
        hashed = files.hashed()
        named = (training.initial_weights, training.label_vectors if isinstance(training, ClassifierParams) else None)
        hashed += [Path(name) for name in named if name is not None and Path(name).is_file()]
        hashed += [] if start is None else [start]
        resume = ResumePoint(
            name,
            params=(
                training,
                params.compute,
                computed_in(device, params.compute.precision),
                params.images,
                params.dataset,
                steps_per_epoch,
            ),
            inputs=hashed,
        )
        data = load_training_data(
            files.images,
            files.labels,
            files.classes,
            synthetic=files.synthetic,
            audit=files.audit,
            places=files.places,
            place_weight=training.place_weight if isinstance(training, ClassifierParams) else 0.0,
        )
        cooccurrence = None if files.graph is None else Cooccurrence.load(files.graph).for_names(data.class_names)
        if processes.first:
            warn_if_crowded(params.compute.threads)
        section = section_of(training)
        with naming_the_knob(f"'{section}.batch_size', or raise '{section}.accumulate'"), naming_the_compiler():
            trained = train(
                training,
                data,
                params.compute,
                cooccurrence=cooccurrence,
                steps_per_epoch=steps_per_epoch,
                start=start,
                resume=resume,
                processes=processes,
                tell=lambda rows: write_csv(history, rows),
            )
        if processes.first:
            if model is not None:
                # Facts that the trainer, which only sees arrays, does not know
                trained.model.config = replace(
                    trained.model.config,
                    preparation=Preparation.from_params(params.images),
                    weights_have_seen=tuple(dict.fromkeys((*training.weights_have_seen, params.dataset.name))),
                    extra_source=training.extra_source if isinstance(training, ClassifierParams) else "none",
                    extra_images=trained.extra_images,
                    known_places=0 if data.places is None else len(data.places.rows),
                )
                trained.model.save(model)
            write_csv(history, trained.history)
            if validation is not None:
                write_json(validation, {"val": validation_figures(data, trained.val_probabilities)})
            resume.clear()
        return trained


def validation_figures(data: TrainingData, probabilities: np.ndarray) -> dict[str, float]:
    """mAP over all findings and per group, on the validation images: what configurations may be chosen by.

    The epoch, calibration and thresholds were fitted to the same images, so the figures are too high to be reported as
    results.

    Args:
        probabilities: float32 [len(data.val), C].
    """
    labels = data.targets[data.val]
    found = [average_precision(labels[:, c], probabilities[:, c]) for c in range(len(data.class_names))]
    return group_means(pd.DataFrame({"group": data.class_groups, "AP": found}))
