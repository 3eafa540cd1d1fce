"""The project's parameters: one frozen, typed section per section of params.yaml, checked as a whole when read.

A params file is complete: it names every knob, so the file alone says what was run. An unknown key, a wrong type or an
impossible value stops the program with one line that names the key.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from trcgl.runtime.errors import InputError
from trcgl.runtime.settings import Range, knob, merge, override, read_section, read_yaml, section

DATASETS = ("phantom", "padchest", "nih", "cxrlt", "chexpert", "mimic", "vindr", "folder")
"""How a label table is read: each has its adapter, trcgl.labels.NAME, the command line offers these names."""
LOSSES = (
    "bce", "focal", "asl", "asl_mldecoder", "distribution_balanced", "effective_number_margin", "ldam_drw",
    "logit_adjustment",
)  # fmt: skip
CSRA_HEADS = (1, 2, 4, 6, 8)
PROBABILITY: Range = {"low": 0.0, "high": 1.0}
PERCENT: Range = {"low": 0.0, "high": 100.0}


@section
class HospitalParams:
    """How the phantoms of a hospital differ from others: detector, images, patients, and errors in the labels."""

    brightness: float = knob(low=-1.0, high=1.0)
    contrast: float = knob(low=0.1, high=10.0)
    blur: float = knob(low=0.1, high=10.0)
    noise: float = knob(low=0.0, high=10.0)
    collimated: float = knob(**PROBABILITY)
    marked: float = knob(**PROBABILITY)
    upright_ap: float = knob(**PROBABILITY)
    supine_ap: float = knob(**PROBABILITY)
    severity: float = knob(low=0.1, high=10.0)
    labels_missed: float = knob(**PROBABILITY)
    labels_false: float = knob(**PROBABILITY)


@section
class PhantomParams:
    """The embedded data set that `make_phantom` renders (unused by other data sets)."""

    train_images: int = knob(low=40)
    validation_images: int = knob(low=20)
    test_images: int = knob(low=20)
    validation_tail_positives: int = knob(low=1)
    test_tail_positives: int = knob(low=1)
    train_tail_positives: tuple[int, ...] | None
    hospital: HospitalParams


@section
class DatasetParams:
    name: str = knob(choices=DATASETS)
    images: str = knob(path=True)
    labels: str = knob(path=True)
    split_file: str | None = knob(path=True)
    boxes: str | None = knob(path=True)
    box_sizes: str | None = knob(path=True)
    revision: int = knob(low=0)
    seed: int = knob(low=0)
    phantom: PhantomParams


@section
class LabelsParams:
    projections: tuple[str, ...] | None
    methods: tuple[str, ...] | None
    vocabulary: str = knob(path=True)
    class_table: str | None = knob(path=True)
    not_findings: tuple[str, ...]
    uncertain: str = knob(choices=("unknown", "positive", "negative"))
    missing: str = knob(choices=("unknown", "negative"))
    exclude_images_with: tuple[str, ...]
    findings: tuple[str, ...] | None
    min_positives: int = knob(low=1)
    head_above: float = knob(**PROBABILITY)
    tail_below: float = knob(**PROBABILITY)
    tail_findings: tuple[str, ...] | None
    split_seed: int = knob(low=0)
    validation_fraction: float = knob(**PROBABILITY)
    test_fraction: float = knob(**PROBABILITY)


@section
class ImagesParams:
    classifier_size: int = knob(low=16, high=4096)
    diffusion_size: int = knob(low=16, high=4096)
    resize: str = knob(choices=("pad", "crop"))
    window_low: float = knob(low=0.0, high=50.0)
    window_high: float = knob(low=50.0, high=100.0)


@section
class GraphParams:
    smoothing: float = knob(low=0.0)


@section
class DiffusionParams:
    seed: int = knob(low=0)
    base: str | None = knob(path=True)
    base_revision: str | None
    prompt_template: str
    prompt_normal: str
    prompt_tokens: int = knob(low=0, high=64)
    prompt_sharing: str = knob(choices=("shared", "per_finding", "per_finding_with_shared"))
    lora_rank: int = knob(low=1)
    lora_layers: tuple[str, ...]
    text_lora_rank: int = knob(low=0)
    steps: int = knob(low=0)
    batch_size: int = knob(low=1)
    lr: float = knob(low=0.0)
    prompt_lr: float = knob(low=0.0)
    warmup_steps: int = knob(low=0)
    prompt_dropout: float = knob(**PROBABILITY)
    tail_fraction: float = knob(**PROBABILITY)
    shift: float = knob(low=0.0, high=0.5)
    ema_decay: float = knob(**PROBABILITY)
    min_snr_gamma: float = knob(low=0.0)
    gradient_checkpointing: bool


@section
class SamplingParams:
    seed: int = knob(low=0)
    images_per_finding: int | None = knob(low=0)
    images_per_real_image: float | None = knob(low=0.0)
    label_sets: str = knob(choices=("real", "single"))
    carriers: str = knob(choices=("own", "normal", "grafted"))
    region_threshold: float = knob(low=0.01, high=1.0)
    strength: float = knob(low=0.0, high=1.0)
    shift: float = knob(low=0.0, high=0.5)
    steps: int = knob(low=1, high=1000)
    guidance_scale: float = knob(low=1.0)
    guidance_start: float = knob(**PROBABILITY)
    guidance_end: float = knob(**PROBABILITY)
    micro_batch: int = knob(low=1)


@section
class AuditParams:
    seen_percentile: float = knob(**PERCENT)
    invented_percentile: float = knob(**PERCENT)
    outlier_percentile: float = knob(**PERCENT)
    duplicate_percentile: float = knob(**PERCENT)
    duplicate_feature_percentile: float = knob(**PERCENT)
    detector: str | None = knob(path=True)


@section
class TrainingParams:
    """The knobs that the baseline and the classifier share: they have one trainer and two sections."""

    seed: int = knob(low=0)
    backbone: str
    backbone_options: dict[str, Any]
    initial_weights: str | None = knob(path=True)
    weights_have_seen: tuple[str, ...]
    pixel_mean: float = knob(**PROBABILITY)
    pixel_std: float = knob(low=1e-3, high=1.0)
    loss: str = knob(choices=LOSSES)
    frozen_epochs: int = knob(low=0)
    epochs: int = knob(low=0)
    retrain_head_epochs: int = knob(low=0)
    patience: int | None = knob(low=1)
    batch_size: int = knob(low=1)
    accumulate: int = knob(low=1)
    lr: float = knob(low=0.0)
    head_lr: float = knob(low=0.0)
    layer_decay: float = knob(**PROBABILITY)
    weight_decay: float = knob(low=0.0)
    warmup_epochs: float = knob(low=0.0)
    ema_decay: float = knob(**PROBABILITY)
    sampler: str = knob(choices=("repeat_factor", "class_aware"))
    repeat_threshold: float = knob(**PROBABILITY)
    repeat_max: float = knob(low=1.0)
    flip: float = knob(**PROBABILITY)
    rotate_degrees: float = knob(low=0.0, high=180.0)
    shift: float = knob(low=0.0, high=0.5)
    scale: float = knob(low=0.0, high=0.9)
    contrast: float = knob(low=0.0, high=0.9)
    noise: float = knob(**PROBABILITY)


@section
class ClassifierParams(TrainingParams):
    """The classifier's knobs: those of the trainer, the head, the label graph and the extra images.

    None for a knob of the head (such as a strength, `adjacency` or its threshold) stands for the head's own default,
    see classifier/training/head_options.py.
    """

    head: str = knob(choices=("linear", "csra", "mlgcn", "mldecoder", "trcgl_paper", "trcgl"))
    csra_heads: int = knob(low=1)
    csra_lambda: float | None = knob(low=0.0)
    decoder_width: int = knob(low=8)
    row_length: str | None = knob(choices=("unit", "learned"))
    gate_strength: float | None = knob(low=0.0)
    attention_strength: float | None = knob(low=0.0)
    attention_temperature: float | None = knob(low=0.01)
    graph_strength: float | None = knob(low=0.0)
    adjacency: str | None = knob(choices=("paper", "mlgcn", "lift", "identity"))
    adjacency_threshold: float | None = knob(**PROBABILITY)
    adjacency_reweight: float = knob(**PROBABILITY)
    adjacency_confidence: float = knob(low=0.5, high=0.9999)
    label_vectors: str | None = knob(path=True)
    place_weight: float = knob(low=0.0)
    extra_source: str = knob(choices=("synthetic", "duplicates", "none"))
    extra_exposure: float = knob(low=0.0, high=0.95)
    extra_weight: float = knob(**PROBABILITY)
    extra_until: float = knob(**PROBABILITY)


@section
class EvaluationParams:
    bootstrap_samples: int = knob(low=10, high=100_000)
    overlays_per_finding: int = knob(low=0)
    test_time_shift: float = knob(low=0.0, high=0.2)
    test_time_scale: float = knob(low=0.0, high=0.2)
    test_time_flip: bool


@section
class ComputeParams:
    threads: int = knob(low=1, high=1024)  # OpenMP crashes without a message where it cannot start that many
    device: str
    precision: str = knob(choices=("auto", "fp32", "bf16", "fp16"))
    compile: bool
    workers: int | None = knob(low=1, high=1024)


@section
class Params:
    """Everything in a params file."""

    dataset: DatasetParams
    labels: LabelsParams
    images: ImagesParams
    graph: GraphParams
    diffusion: DiffusionParams
    sampling: SamplingParams
    audit: AuditParams
    baseline: TrainingParams
    classifier: ClassifierParams
    evaluation: EvaluationParams
    compute: ComputeParams


def load_params(
    path: str | Path = "params.yaml", overrides: Mapping[str, Any] | None = None, overlays: Iterable[str | Path] = ()
) -> Params:
    """Read and check a params file, after replacing values by the overlay files and then by `overrides` (dotted keys).

    Raises:
        InputError: the file is missing or not YAML, a key is unknown or missing, a value has the wrong type or lies
            outside its range. The message names file and key.
    """
    values = read_yaml(path)
    for file in overlays:
        overlay(values, read_yaml(file), str(file))
    override(values, overrides or {}, str(path))
    return checked(values, str(path))


def checked(values: Any, file: str) -> Params:
    """Check the values of a params file and return them as `Params`; `file` is its name in messages.

    Raises:
        InputError: as for `load_params`.
    """
    params = read_section(Params, values, file, "")
    _check_relations(params, file)
    return params


def overlay(values: Any, changes: Any, file: str) -> None:
    """Replace values of a params file in place by those of an overlay, a mapping with the same nesting.

    Sections are merged. Any other value, including `backbone_options`, is replaced as a whole.

    Raises:
        InputError: a key of the overlay is not in the params file. The message names the overlay's `file`.
    """
    merge(Params, values, changes, file, "")


def _check_relations(params: Params, file: str) -> None:
    """Check conditions that involve more than one key."""
    hospital = params.dataset.phantom.hospital
    if hospital.upright_ap + hospital.supine_ap > 1:
        raise InputError(
            f"{file}: 'dataset.phantom.hospital.upright_ap' + 'supine_ap' is "
            f"{hospital.upright_ap + hospital.supine_ap:g}; together they must be at most 1, the rest is PA"
        )
    if params.dataset.box_sizes is not None and params.dataset.boxes is None:
        raise InputError(f"{file}: 'dataset.box_sizes' is set without 'dataset.boxes'; set both, or neither")
    labels = params.labels
    if labels.findings == ():
        raise InputError(f"{file}: 'labels.findings' is an empty list; name the findings, or write null for all")
    if labels.tail_below > labels.head_above:
        raise InputError(
            f"{file}: 'labels.tail_below' ({labels.tail_below}) must not be above 'labels.head_above' "
            f"({labels.head_above}): a finding has only one group"
        )
    if labels.validation_fraction + labels.test_fraction >= 1:
        raise InputError(
            f"{file}: 'labels.validation_fraction' + 'labels.test_fraction' is "
            f"{labels.validation_fraction + labels.test_fraction:g}; it must leave patients for training (below 1)"
        )
    for name, training in (("baseline", params.baseline), ("classifier", params.classifier)):
        if training.frozen_epochs + training.epochs == 0:
            raise InputError(f"{file}: '{name}.frozen_epochs' + '{name}.epochs' is 0; at least one epoch is needed")
        if training.batch_size % training.accumulate:
            raise InputError(
                f"{file}: '{name}.accumulate' is {training.accumulate}; it must divide '{name}.batch_size' "
                f"({training.batch_size}) into equal parts"
            )
    _check_head(params.classifier, file)
    if params.classifier.head == "mldecoder" and params.classifier.place_weight and params.dataset.boxes is not None:
        raise InputError(
            f"{file}: 'classifier.head' mldecoder cannot learn from 'dataset.boxes' (its class maps are attention "
            "times probability, not scores); set 'classifier.place_weight' to 0"
        )
    if params.evaluation.test_time_flip and 0 in (params.baseline.flip, params.classifier.flip):
        raise InputError(
            f"{file}: 'evaluation.test_time_flip' is true, but a model is trained without flips; set 'baseline.flip' "
            "and 'classifier.flip' above 0 (where no finding has a side), or test_time_flip to false"
        )
    if params.diffusion.prompt_dropout == 1:
        raise InputError(
            f"{file}: 'diffusion.prompt_dropout' is 1; it must be below 1, or no prompt and no token of a finding is "
            "learned"
        )
    sampling = params.sampling
    counts = (sampling.images_per_finding, sampling.images_per_real_image)
    if counts.count(None) != 1:
        both = "neither is" if counts == (None, None) else "both are"
        raise InputError(
            f"{file}: of 'sampling.images_per_finding' and 'sampling.images_per_real_image' {both} set; "
            "one of them must be a number, the other null"
        )
    if sampling.carriers == "grafted" and sampling.label_sets != "single":
        raise InputError(
            f"{file}: 'sampling.label_sets' is {sampling.label_sets}; with 'sampling.carriers' grafted it must be "
            "single (a region holds one finding)"
        )
    if sampling.strength == 0 and sampling.carriers != "grafted":
        raise InputError(
            f"{file}: 'sampling.strength' is 0 with 'sampling.carriers' {sampling.carriers}: every image would be a "
            "copy of a real one; raise strength (0.85 goes with normal, 0.55 with own), or set carriers to grafted"
        )
    if sampling.steps == 1 and 0 < sampling.strength < 1:
        raise InputError(
            f"{file}: 'sampling.steps' is 1 with 'sampling.strength' {sampling.strength}: a single step begins from "
            "pure noise, and nothing of the carrier is left; raise steps"
        )
    if sampling.strength == 1 and sampling.carriers == "grafted":
        raise InputError(
            f"{file}: 'sampling.strength' is 1 with 'sampling.carriers' grafted: from pure noise nothing of a graft is "
            "left; lower strength (0: the graft as it is), or set carriers to own"
        )
    if sampling.guidance_start > sampling.guidance_end:
        raise InputError(
            f"{file}: 'sampling.guidance_start' ({sampling.guidance_start}) must not be above 'sampling.guidance_end' "
            f"({sampling.guidance_end}); equal means no guidance"
        )


def _check_head(classifier: ClassifierParams, file: str) -> None:
    """Check the knobs of the heads that accept only certain values or combinations."""
    if classifier.csra_heads not in CSRA_HEADS:
        raise InputError(
            f"{file}: 'classifier.csra_heads' is {classifier.csra_heads}; it must be one of: "
            f"{', '.join(map(str, CSRA_HEADS))} (as in the paper)"
        )
    if classifier.decoder_width % 8:
        raise InputError(
            f"{file}: 'classifier.decoder_width' is {classifier.decoder_width}; it must be a multiple of 8, the "
            "number of the decoder's attention heads"
        )
    if classifier.head == "mlgcn":
        if classifier.adjacency not in (None, "mlgcn", "identity"):
            raise InputError(
                f"{file}: 'classifier.adjacency' is {classifier.adjacency}; with 'classifier.head' mlgcn it must be "
                "null, mlgcn (its paper's) or identity (the control)"
            )
        if classifier.label_vectors is None:
            raise InputError(
                f"{file}: 'classifier.label_vectors' is null; with 'classifier.head' mlgcn it must be a file of word "
                "vectors"
            )
        if classifier.adjacency_reweight == 1:
            raise InputError(
                f"{file}: 'classifier.adjacency_reweight' is 1; with 'classifier.head' mlgcn it must be below 1: a "
                "finding without neighbours could not be learned"
            )
