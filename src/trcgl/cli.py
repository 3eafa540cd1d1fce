"""The `trcgl` command: one function per subcommand, each importing what it needs only when it runs."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from trcgl.config import DATASETS
from trcgl.runtime.errors import InputError, exit_code


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand; 0 on success, 1 with one line on stderr on bad input, 2 on a usage error."""
    options = _parser().parse_args(arguments)
    try:
        return exit_code(lambda: options.run(options))
    except BrokenPipeError:
        # Whoever reads the output (head, less) has seen enough; nothing must be flushed to it at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="trcgl", description="Rare findings in chest X-rays.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_labels(commands)
    _add_pretrain(commands)
    _add_evaluate(commands)
    _add_predict(commands)
    _add_export(commands)
    _add_doctor(commands)
    return parser


def _add_labels(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    labels = commands.add_parser(
        "labels",
        help="look at a label table without its images",
        description="Rows, kept, rejected by reason, labels and patients of a label table, before any filter.",
    )
    labels.add_argument("--dataset", required=True, choices=DATASETS)
    labels.add_argument("--csv", required=True, type=Path, metavar="FILE", help="the label file (.csv or .csv.gz)")
    labels.add_argument("--out", type=Path, metavar="COUNTS.csv", help="write images per label and projection")
    labels.set_defaults(run=_labels)


def _labels(options: argparse.Namespace) -> None:
    from trcgl.labels.adapters import read_table
    from trcgl.labels.report import label_counts, summary
    from trcgl.runtime.files import write_csv

    table = read_table(options.dataset, options.csv)
    if options.out is not None:
        try:
            write_csv(options.out, label_counts(table))
        except OSError as error:
            raise InputError(
                f"{options.out}: cannot be written ({error.strerror}); give a file name for --out"
            ) from None
    print(summary(table))


def _add_pretrain(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    pretrain = commands.add_parser(
        "pretrain",
        help="train a small base generator from nothing",
        description="Train autoencoder, text encoder and U-Net on the cached training images of the current folder "
        "(data/images/diffusion and data/labels, as cache_images and parse_labels leave them), as `diffusion` in the "
        "params file says, and write a diffusers folder in half precision. Continues where a killed run stopped.",
    )
    pretrain.add_argument("--out", required=True, type=Path, metavar="FOLDER", help="replaced as a whole when done")
    pretrain.add_argument("--params", default="params.yaml", type=Path, metavar="FILE")
    pretrain.set_defaults(run=_pretrain)


def _pretrain(options: argparse.Namespace) -> None:
    from trcgl.config import load_params
    from trcgl.diffusion.base_folder import pretrain_folder

    pretrain_folder(load_params(options.params), options.out)


def _add_evaluate(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    evaluate = commands.add_parser(
        "evaluate",
        help="a saved classifier on an external test set",
        description="Metrics of a saved classifier on images and labels that it was not trained on. Images are made "
        "as the classifier's own were, findings are matched by exact name, thresholds are the classifier's; intervals "
        "resample patients, as `evaluation` in the params file says.",
    )
    evaluate.add_argument(
        "--model", required=True, action="append", type=Path, metavar="DIR",
        help="folder of a saved classifier; several are averaged",
    )  # fmt: skip
    evaluate.add_argument("--dataset", required=True, choices=DATASETS)
    evaluate.add_argument("--images", required=True, type=Path, metavar="DIR")
    evaluate.add_argument("--labels", required=True, type=Path, metavar="FILE")
    evaluate.add_argument("--out", type=Path, metavar="DIR", help="write metrics.json and tables into it")
    evaluate.add_argument(
        "--combine", choices=("probabilities", "weights"), default="probabilities",
        help="what is averaged of several models (weights: only of models fine-tuned from the same initial ones)",
    )  # fmt: skip
    evaluate.add_argument("--projections", nargs="+", metavar="VIEW", help="use these views only, such as PA AP")
    evaluate.add_argument("--exclude", nargs="+", default=[], metavar="LABEL", help="leave out images labelled so")
    evaluate.add_argument("--class-table", type=Path, metavar="FILE", help="merges labels into the model's classes")
    evaluate.add_argument("--boxes", type=Path, metavar="FILE", help="NIH's BBox_List_2017.csv: localisation, too")
    evaluate.add_argument("--params", default="params.yaml", type=Path, metavar="FILE")
    evaluate.set_defaults(run=_evaluate)


def _evaluate(options: argparse.Namespace) -> None:
    import torch

    from trcgl.config import load_params
    from trcgl.evaluation.external import ExternalSet, evaluate_external, short_table

    params = load_params(options.params)
    torch.set_num_threads(params.compute.threads)
    external = ExternalSet(
        dataset=options.dataset,
        images=options.images,
        labels=options.labels,
        projections=None if options.projections is None else tuple(options.projections),
        excluded=tuple(options.exclude),
        class_table=options.class_table,
        boxes=options.boxes,
    )
    if options.out is not None:
        # Before the work, not after it
        try:
            options.out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{options.out}: cannot be made ({error.strerror}); give a folder for --out") from None
    result = evaluate_external(options.model, external, params.evaluation, params.compute, combine=options.combine)
    if options.out is not None:
        result.write(options.out)
    print(short_table(result))


def _add_predict(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    predict = commands.add_parser(
        "predict",
        help="findings in your own images",
        description="A row an image and finding: image, finding, probability, positive, threshold; thresholds and the "
        "way from a file to a picture are the model's own. An image that cannot be read is named with the reason and "
        "the others are done; the exit code is 1 then. Research use only: not for diagnosis.",
        epilog="example: trcgl predict --model data/models/classifier --out findings.csv --overlays seen scans/ x.dcm",
    )
    predict.add_argument("--model", required=True, type=Path, metavar="DIR", help="folder of a saved classifier")
    predict.add_argument("--out", type=Path, metavar="FILE", help=".csv, .json or .parquet; without it CSV on stdout")
    predict.add_argument("--overlays", type=Path, metavar="DIR", help="write a PNG an image and positive finding")
    predict.add_argument(
        "--likeliest", type=_positive, metavar="N", help="overlays of the N likeliest findings, positive or not"
    )
    predict.add_argument("--device", default="auto", help="auto (CUDA where there is one), cpu, cuda, cuda:1")
    predict.add_argument("--batch-size", default=64, type=_positive, metavar="N", help="images at once (64)")
    predict.add_argument("images", nargs="+", metavar="IMAGE", help="file, folder (with its subfolders) or pattern")
    predict.set_defaults(run=_predict)


def _predict(options: argparse.Namespace) -> None:
    from trcgl.inference.predict import Request, predict_files

    names = ("model", "images", "out", "overlays", "likeliest", "device", "batch_size")
    predict_files(Request(**{name: getattr(options, name) for name in names}))


def _add_export(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    export = commands.add_parser(
        "export",
        help="a saved classifier as an ONNX file",
        description="Write a saved classifier as ONNX: uint8 pictures in; logits, probabilities and class maps out, "
        "for any number of pictures; findings, thresholds and preparation as metadata. The file is compared with the "
        "classifier in onnxruntime before it takes its place.",
        epilog="example: trcgl export --model data/models/classifier --out model.onnx",
    )
    export.add_argument("--model", required=True, type=Path, metavar="DIR", help="folder of a saved classifier")
    export.add_argument("--out", required=True, type=Path, metavar="FILE.onnx")
    export.set_defaults(run=_export)


def _export(options: argparse.Namespace) -> None:
    from trcgl.inference.onnx_file import export_onnx

    difference = export_onnx(options.model, options.out)
    print(f"{options.out}: differs from the model by {difference:.1e} at most")


def _add_doctor(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    doctor = commands.add_parser(
        "doctor",
        help="check files, params, space and device before a long run",
        description="Run it in the project's folder. A line for everything that is looked at: params, named files, "
        "images and labels, changes since scan_images, disk, device, DVC. Exit code 1 if there is a problem.",
        epilog="example: trcgl doctor --params presets/padchest.yaml",
    )
    doctor.add_argument("--params", default="params.yaml", type=Path, metavar="FILE")
    doctor.set_defaults(run=_doctor)


def _doctor(options: argparse.Namespace) -> None:
    from trcgl.doctor.run import doctor

    doctor(options.params)


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number above 0")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
