"""The `trcgl` command: a table of subcommands, each with a function that imports what it needs only when it runs."""

import argparse
import io
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import shtab

from trcgl.config import DATASETS
from trcgl.runtime.disk import FULL
from trcgl.runtime.errors import InputError, exit_code
from trcgl.runtime.importing import without_collections
from trcgl.setup.presets import ON_CPU, SCALES

Argument = tuple[str, dict[str, Any]]
"""What `add_argument` takes."""


@dataclass(frozen=True)
class Command:
    """A subcommand.

    Attributes:
        help: one line, for the list of subcommands.
        example: a command line, without the word "example".
        run: the function that executes it with the parsed arguments.
    """

    help: str
    description: str
    example: str
    run: Callable[[argparse.Namespace], None]
    arguments: tuple[Argument, ...]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand; 0 on success, 1 with one line on stderr on bad input, 2 on a usage error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A line must not be lost because the terminal or locale cannot show a sign
            stream.reconfigure(errors="backslashreplace")

    def run() -> None:
        options = parser().parse_args(arguments)
        options.run(options)
        if sys.stdout is not None:
            # Flushed here, where errors can still be reported
            sys.stdout.flush()

    try:
        return exit_code(run)
    except OSError as error:
        if not isinstance(error, BrokenPipeError) and error.errno not in FULL:
            raise
        # Python must not try to flush to it at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            # The program that reads the output (head, less) has ended
            return 0
        print(f"error: standard output: cannot be written ({error.strerror}); free some space", file=sys.stderr)
        return 1


def parser() -> argparse.ArgumentParser:
    """All subcommands with their options."""
    whole = argparse.ArgumentParser(prog="trcgl", description="Rare findings in chest X-rays.")
    shtab.add_argument_to(whole, "--print-completion", help="print a completion script for this shell, and stop")
    commands = whole.add_subparsers(required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        example = f"example: {command.example}"
        added = commands.add_parser(name, help=command.help, description=command.description, epilog=example)
        for flag, options in command.arguments:
            action = added.add_argument(flag, **options)
            if options.get("type") in (_path, _file) or flag == "images":
                # The attribute in which shtab looks for the completion
                action.complete = shtab.FILE  # pyright: ignore[reportAttributeAccessIssue]
        added.set_defaults(run=command.run)
    return whole


def _init(options: argparse.Namespace) -> None:
    from trcgl.doctor.run import doctor
    from trcgl.setup.init import FILE, Setup, write_params

    setup = Setup.asked(options.name, options.images, options.labels, options.scale, options.boxes, options.box_sizes)
    write_params(setup, force=options.force)
    doctor(FILE)


def _labels(options: argparse.Namespace) -> None:
    from trcgl.labels.adapters import read_table
    from trcgl.labels.report import label_counts, summary
    from trcgl.runtime.files import write_csv
    from trcgl.runtime.output_paths import check_output, is_stream

    outputs = {"--out": options.out, "--plot": options.plot}
    for flag, path in outputs.items():
        if path is not None:
            check_output(path, flag, {"--csv": options.csv})
    if options.plot is not None and options.plot.suffix.lower() != ".png" and not is_stream(options.plot):
        raise InputError(f"{options.plot}: give a name that ends with .png for --plot")
    if options.out is not None and options.out == options.plot:
        raise InputError(f"{options.out}: is given for --out and for --plot; give two names")
    table = read_table(options.dataset, options.csv)
    counts = label_counts(table)
    if options.plot is not None and counts.empty:
        raise InputError(f"{options.csv}: has no label to draw; give a table with labels, or leave --plot out")

    def draw(path: Path) -> None:
        from trcgl.labels.distribution import label_distribution
        from trcgl.runtime.figures import save_figure

        save_figure(label_distribution(counts, len(table.rows)), path)

    for flag, path, write in (
        ("--out", options.out, lambda path: write_csv(path, counts)),
        ("--plot", options.plot, draw),
    ):
        if path is not None:
            try:
                write(path)
            except OSError as error:
                raise InputError(f"{path}: cannot be written ({error.strerror}); give a file name for {flag}") from None
    print(summary(table))


def _pretrain(options: argparse.Namespace) -> None:
    with without_collections():
        from trcgl.config import load_params
        from trcgl.diffusion.pretraining.base_folder import pretrain_folder
        from trcgl.diffusion.pretraining.settings import load_pretrain_params
        from trcgl.runtime.output_paths import check_replaced_folder

    check_replaced_folder(options.out, "--out", mark="model_index.json")
    pretrain_folder(load_params(options.params), load_pretrain_params(options.settings), options.out)


def _evaluate(options: argparse.Namespace) -> None:
    with without_collections():
        from trcgl.inference.external.defaults import how_to_evaluate
        from trcgl.inference.external.evaluate import evaluate_external
        from trcgl.inference.external.external_set import ExternalSet
        from trcgl.inference.external.result import FILES, written_before
        from trcgl.numerics.device import use_threads
        from trcgl.runtime.memory import naming_the_knob
        from trcgl.runtime.output_paths import check_output, check_output_folder

    if options.box_sizes is not None and options.boxes is None:
        raise InputError("--box-sizes: is given without --boxes, and nothing would read it; give both, or neither")
    evaluation, compute = how_to_evaluate(options.params)
    use_threads(compute.threads)
    external = ExternalSet(
        dataset=options.dataset,
        images=options.images,
        labels=options.labels,
        split=options.split,
        projections=None if options.projections is None else tuple(options.projections),
        excluded=tuple(options.exclude),
        class_table=options.class_table,
        boxes=options.boxes,
        box_sizes=options.box_sizes,
    )
    if options.out is not None:
        # Before the work, not after it
        check_output_folder(options.out, "--out")
        inputs = {"--labels": external.labels, "--class-table": external.class_table, "--boxes": external.boxes}
        inputs["--box-sizes"] = external.box_sizes
        for model in options.model:
            if Path(os.path.realpath(options.out)).is_relative_to(os.path.realpath(model)):
                raise InputError(f"{options.out}: is the model's folder; give another folder for --out")
        for name in FILES:
            check_output(options.out / name, "--out", inputs)
        theirs = [name for name in FILES if (options.out / name).exists()]
        if theirs and not written_before(options.out):
            raise InputError(
                f"{options.out / theirs[0]}: was not written by trcgl evaluate, and would be overwritten; give another "
                "folder for --out"
            )
    with naming_the_knob(None):
        result = evaluate_external(options.model, external, evaluation, compute, combine=options.combine)
    if options.out is not None:
        result.write(options.out)
    print(result)


def _predict(options: argparse.Namespace) -> None:
    with without_collections():
        from trcgl.inference.predict import Request, predict_files

    if options.likeliest is not None and options.overlays is None:
        raise InputError("--likeliest: is given without --overlays, and nothing would be drawn; give both, or neither")
    names = ("model", "images", "out", "overlays", "likeliest", "device", "batch_size", "inverted")
    predict_files(Request(**{name: getattr(options, name) for name in names}))


def _export(options: argparse.Namespace) -> None:
    with without_collections():
        from trcgl.inference.onnx_file import export_onnx

    difference = export_onnx(options.model, options.out)
    print(f"{options.out}: differs from the model by {difference:.1e} at most")


def _doctor(options: argparse.Namespace) -> None:
    # Large libraries are imported just to look up a name or a device
    with without_collections():
        from trcgl.doctor.run import doctor

        doctor(options.params)


def _path(text: str) -> Path:
    if not text:
        raise InputError("an empty name ('') is given for a file or folder; give its name")
    return Path(text)


def _file(text: str) -> Path:
    if text == "-":
        raise InputError("-: give a file name, such as /dev/stdout for standard output")
    if text.endswith(("/", os.sep)):
        raise InputError(f"{text}: is a folder; give a file name")
    return _path(text)


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number above 0")
    return int(text)


def _argument(name: str, **options: Any) -> Argument:
    return name, options


MODEL = _argument("--model", required=True, type=_path, metavar="DIR", help="folder of a saved classifier")
DATASET = _argument("--dataset", required=True, choices=DATASETS)
BOX_SIZES = _argument(
    "--box-sizes",
    type=_path,
    metavar="FILE",
    help="size of the originals that the boxes are in, where the images are copies in another format: columns "
    "image_id, width, height (or dim0, dim1)",
)
PARAMS = _argument("--params", default="params.yaml", type=_path, metavar="FILE")

COMMANDS = {
    "init": Command(
        help="write params.yaml for a data set",
        description="Write params.yaml in the project's folder: the shipped one (the newest in git that no init wrote) "
        "with what presets/ says of a data set and a scale, then run trcgl doctor on it; exit code 1 if that finds a "
        "problem. trcgl init phantom brings the shipped one back. A params.yaml is overwritten without --force when "
        "nothing is lost: it is as committed, or as an earlier init wrote it.",
        example="trcgl init nih --images /data/nih/images --labels /data/nih/Data_Entry_2017_v2020.csv --scale cpu",
        run=_init,
        arguments=(
            _argument("name", choices=DATASETS, help="the data set"),
            _argument("--images", type=_path, metavar="DIR", help="folder of the images; not for phantom"),
            _argument(
                "--labels", type=_path, metavar="FILE", help="label table, as --csv of trcgl labels; not for phantom"
            ),
            _argument(
                "--boxes",
                type=_path,
                metavar="FILE",
                help="NIH's BBox_List_2017.csv or VinDr's annotations (Kaggle's train.csv): class maps learn from the "
                "boxes of training images, and are judged by those of test images; not for phantom",
            ),
            BOX_SIZES,
            _argument(
                "--scale",
                choices=SCALES,
                help=f"two CPU cores, or one GPU and more (cpu for {', '.join(ON_CPU)}, gpu for the others)",
            ),
            _argument("--force", action="store_true", help="overwrite changes that are not committed"),
        ),
    ),
    "labels": Command(
        help="look at a label table without its images",
        description="Rows, kept, rejected by reason, labels and patients of a label table, before any filter.",
        example="trcgl labels --dataset nih --csv Data_Entry_2017_v2020.csv --out counts.csv --plot counts.png",
        run=_labels,
        arguments=(
            DATASET,
            _argument(
                "--csv",
                required=True,
                type=_path,
                metavar="FILE",
                help="the label file (.csv or .csv.gz); for mimic and vindr also the folder of the label files",
            ),
            _argument("--out", type=_file, metavar="COUNTS.csv", help="write images per label and projection"),
            _argument("--plot", type=_file, metavar="PICTURE.png", help="draw them, the most frequent label first"),
        ),
    ),
    "pretrain": Command(
        help="train a small base generator from nothing",
        description="Train autoencoder, text encoder and U-Net on the cached training images of the current folder "
        "(data/images/diffusion and data/labels, as cache_images and parse_labels leave them), and write a diffusers "
        "folder in half precision. Continues where a killed run stopped.",
        example="trcgl pretrain --out data/my_base",
        run=_pretrain,
        arguments=(
            _argument("--out", required=True, type=_path, metavar="FOLDER", help="replaced as a whole when done"),
            _argument(
                "--settings",
                default="studies/pretrain/pretrain.yaml",
                type=_path,
                metavar="FILE",
                help="sizes of the networks, steps and learning rates (studies/pretrain/pretrain.yaml)",
            ),
            PARAMS,
        ),
    ),
    "evaluate": Command(
        help="a saved classifier on an external test set",
        description="Metrics of a saved classifier on images and labels that it was not trained on. Images are made "
        "as the classifier's own were, thresholds are the classifier's; intervals resample patients, as `evaluation` "
        "in the params file says. Findings are matched by exact name, capitals included: phantom and PadChest write "
        "cardiomegaly, NIH Cardiomegaly. A class table (--class-table) brings the labels to the model's names.",
        example="trcgl evaluate --model data/models/classifier --dataset nih --images /data/nih/images "
        "--labels /data/nih/Data_Entry_2017_v2020.csv --out external",
        run=_evaluate,
        arguments=(
            _argument(
                "--model",
                required=True,
                action="append",
                type=_path,
                metavar="DIR",
                help="folder of a saved classifier; several are averaged",
            ),
            DATASET,
            _argument("--images", required=True, type=_path, metavar="DIR"),
            _argument("--labels", required=True, type=_path, metavar="FILE", help="as --csv of trcgl labels"),
            _argument("--out", type=_path, metavar="DIR", help="write metrics.json and tables into it"),
            _argument(
                "--combine",
                choices=("probabilities", "weights"),
                default="probabilities",
                help="what is averaged of several models (weights: only of models fine-tuned from the same initial "
                "ones)",
            ),
            _argument(
                "--split",
                choices=("train", "val", "test"),
                help="use the images of this split only, where the label table states splits",
            ),
            _argument(
                "--projections", action="extend", nargs="+", metavar="VIEW", help="use these views only, such as PA AP"
            ),
            _argument(
                "--exclude",
                action="extend",
                nargs="+",
                default=[],
                metavar="LABEL",
                help="leave out images labelled so",
            ),
            _argument(
                "--class-table",
                type=_path,
                metavar="FILE",
                help="merges or renames labels: columns class (the model's name) and padchest_labels (this data set's, "
                "several with a bar between them)",
            ),
            _argument(
                "--boxes",
                type=_path,
                metavar="FILE",
                help="NIH's BBox_List_2017.csv or VinDr's annotations (Kaggle's train.csv): localisation, too",
            ),
            BOX_SIZES,
            _argument(
                "--params",
                type=_path,
                metavar="FILE",
                help="its sections evaluation and compute (params.yaml; where there is none, the shipped ones)",
            ),
        ),
    ),
    "predict": Command(
        help="findings in your own images",
        description="A row per image and finding: image, finding, probability, positive, threshold; thresholds and the "
        "way from a file to a picture are the model's own. An image that cannot be read is named with the reason and "
        "the others are done; the exit code is 1 then. Research use only: not for diagnosis.",
        example="trcgl predict --model data/models/classifier --out findings.csv --overlays seen scans/ x.dcm",
        run=_predict,
        arguments=(
            MODEL,
            _argument("--out", type=_file, metavar="FILE", help=".csv, .json or .parquet; without it CSV on stdout"),
            _argument("--overlays", type=_path, metavar="DIR", help="write a PNG per image and positive finding"),
            _argument(
                "--likeliest", type=_positive, metavar="N", help="overlays of the N likeliest findings, positive or not"
            ),
            _argument("--device", default="auto", help="auto (CUDA where there is one), cpu, cuda, cuda:1"),
            _argument("--batch-size", default=64, type=_positive, metavar="N", help="images at once (64)"),
            _argument(
                "--inverted",
                action="store_true",
                help="air is bright in all of these images, as in those that a label table calls MONOCHROME1 (a DICOM "
                "file states it itself)",
            ),
            _argument("images", nargs="+", metavar="IMAGE", help="file, folder (with its subfolders) or pattern"),
        ),
    ),
    "export": Command(
        help="a saved classifier as an ONNX file",
        description="Write a saved classifier as ONNX: uint8 pictures in; logits, probabilities and class maps out, "
        "for any number of pictures; findings, thresholds and preparation as metadata. The file is compared with the "
        "classifier in onnxruntime before it takes its place.",
        example="trcgl export --model data/models/classifier --out model.onnx",
        run=_export,
        arguments=(MODEL, _argument("--out", required=True, type=_file, metavar="FILE.onnx")),
    ),
    "doctor": Command(
        help="check files, params, space and device before a long run",
        description="Run it in the project's folder. A line for everything that is looked at: params, named files, "
        "images and labels, changes since scan_images, disk, device, DVC. Exit code 1 if there is a problem.",
        example="trcgl doctor --params params.yaml",
        run=_doctor,
        arguments=(PARAMS,),
    ),
}


if __name__ == "__main__":
    sys.exit(main())
