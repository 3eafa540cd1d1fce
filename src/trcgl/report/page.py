"""The report page of a run: tables, cards and figures of metrics/ in one HTML file, readable without the code.

Nothing is computed here. The page loads nothing from outside: figures are inlined, there is no script, and its content
policy forbids external content and scripts.
"""

import base64
import dataclasses
import hashlib
import json
import platform
from collections import Counter
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

from trcgl.config import Params
from trcgl.metrics import tail_map_at_prevalence
from trcgl.runtime.damage import damaged
from trcgl.runtime.errors import InputError
from trcgl.runtime.files import read_json, read_parquet

REFERENCE, OURS = "baseline", "trcgl"
"""Blocks of metrics/metrics.json. Not imported from trcgl.evaluation, so that the page does not depend on its code."""
PICTURES = {
    "labels": {
        "report/label_distribution.png": "Images with each finding. The test part is enriched in tail findings where "
        "the data set is, or too few of them could be scored.",
        "build_cooccurrence/cooccurrence.png": "Which findings come together in the real training images; the label "
        "graph is made of this.",
    },
    "generator": {
        "report/diffusion_loss.png": "Training loss of the generator. It is noisy because noise levels are drawn at "
        "random.",
        "sample_tail/real_beside_synthetic.png": "Real training images of each tail finding, and what was drawn for "
        "it, before the audit.",
    },
    "audit": {
        "audit_synthetic/carriers_beside_samples.png": "Each drawn image to the right of its carrier, the real "
        "training image that it started from or whose view it shares, and a graft also to the right of the real image "
        "whose region it has; with the audit's verdict: accepted ones, then rejected ones.",
        "audit_synthetic/nearest_real_images.png": "Drawn image and nearest training image in pixels, with the judge's "
        "score, the verdict and both distances.",
        "audit_synthetic/finding_tests.png": "How well the judge recognises each tail finding on real validation "
        "images; the dot is the score above which it sees the finding.",
    },
    "classifier": {
        "report/classifier_curves.png": "Both classifiers while they learned.",
        "evaluate/average_precision.png": "Average precision of each finding with 95 % intervals over patients.",
        "evaluate/precision_recall_by_group.png": "Precision against recall, averaged over the findings of a group.",
        "evaluate/reliability.png": "Reliability: on the diagonal a probability means what it says. Findings of a "
        "group pooled, weighted back to the training prevalence; below, how often a probability is given.",
    },
    "places": {
        "evaluate/attention.png": "Left the image, right the class map over it; the outline is the true lesion where "
        "it is known. Of each finding, positives from the one that the model is surest of to the one that it is least "
        "sure of.",
    },
}
"""Section -> picture under metrics/plots -> caption, in order of the page."""
TRAINING = {
    "synthetic": "real and accepted images",
    "duplicates": "real images, some of the tail ones once more",
    "none": "real images only",
}
"""`classifier.extra_source` -> training images of our classifier. `none` is used if no extra image was shown."""
CONFIG = Path("data/models/classifier/config.json")
FOLDERS = ("build_cooccurrence", "sample_tail", "audit_synthetic", "evaluate", "report")
LIBRARIES = ("torch", "torchvision", "timm", "diffusers", "peft", "torch-geometric", "scikit-learn", "numpy", "pandas")
HEADLINE_DECIMALS = 3


class Picture(NamedTuple):
    name: str
    caption: str
    uri: str | None
    """Data URI of the PNG, or None if the run had nothing to draw."""


def report_page(root: Path, params: Params) -> str:
    """The page as HTML text.

    Args:
        root: folder with metrics/ and data/ of a finished run.

    Raises:
        InputError: a table cannot be read, or a folder of figures is missing.
        FileNotFoundError: a file is missing; the error names it.
    """
    metrics = root / "metrics"
    generated = params.diffusion.base is not None
    synthetic = read_json(metrics / "synthetic.json")
    labels = read_json(metrics / "labels.json")
    localisation = read_table(metrics / "localisation.csv")
    per_class = read_table(metrics / "per_class.csv")
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "interval": interval}
    model = read_json(root / CONFIG, ["extra_source", "extra_images", "known_places"])
    return environment.get_template("page.html.j2").render(
        dataset=params.dataset.name,
        training=TRAINING[model["extra_source"] if model["extra_images"] else "none"],
        seen={
            name: part.weights_have_seen
            for name, part in ((REFERENCE, params.baseline), (OURS, params.classifier))
            if part.weights_have_seen
        },
        difference=difference,
        seen_percentile=f"{params.audit.seen_percentile:g}",
        generated=generated,
        ours=OURS,
        reference=REFERENCE,
        metrics=read_json(metrics / "metrics.json"),
        intervals=_by_key(read_table(metrics / "intervals.csv"), "model", "metric"),
        differences=_by_key(read_table(metrics / "differences.csv"), "metric"),
        labels=labels,
        tail_is_set=params.labels.tail_findings is not None,
        rejected={reason: count for reason, count in labels["rejected"].items() if reason != "total"},
        unreadable=Counter(read_parquet(root / "data/images/unreadable.parquet", ["reason"])["reason"]),
        classes=read_json(root / "data/labels/classes.json")["classes"],
        held_out=read_json(metrics / "diffusion.json")["held_out_tail_loss"],
        synthetic=synthetic,
        verdicts=read_table(metrics / "synthetic_per_class.csv"),
        per_class=per_class,
        tail_at_prevalence={model: tail_map_at_prevalence(part) for model, part in per_class.groupby("model")},
        subgroups=read_table(metrics / "subgroups.csv"),
        localisation=localisation,
        localisation_means=localisation[localisation["group"] == "all"],
        pictures=_pictures(metrics / "plots"),
        model_card=_card(metrics / "model_card.md"),
        synthetic_card=_card(metrics / "synthetic_card.md"),
        params_hash=params_hash(params),
        versions={"Python": platform.python_version()} | {name: version(name) for name in LIBRARIES},
    )


def params_hash(params: Params) -> str:
    """SHA-256, as hexadecimal text, of all parameters that affect results: of `compute` only `threads` is included."""
    knobs = dataclasses.asdict(params)
    knobs["compute"] = {"threads": params.compute.threads}
    return hashlib.sha256(json.dumps(knobs, sort_keys=True).encode()).hexdigest()


def number(value: Any, *, signed: bool = False) -> str:
    """A number as text: fractions with three decimals, counts unchanged, undefined values as a dash."""
    if isinstance(value, str):
        return value
    if pd.isna(value):
        return "–"
    if isinstance(value, float):
        return f"{value:+.{HEADLINE_DECIMALS}f}" if signed else f"{value:.{HEADLINE_DECIMALS}f}"
    return str(value)


def difference(ours: float | None, reference: float | None) -> float:
    """`ours` minus `reference`; NaN if either has no value."""
    return float("nan") if ours is None or reference is None else ours - reference


def interval(row: Mapping[str, Any], *, signed: bool = False) -> str:
    """The interval of a row as text: its `low` and `high`."""
    return f"{number(row['low'], signed=signed)} to {number(row['high'], signed=signed)}"


def _pictures(plots: Path) -> dict[str, list[Picture]]:
    """Section -> its figures; each file in FOLDERS comes once, and files without a section are under `other`."""
    for folder in FOLDERS:
        if not (plots / folder).is_dir():
            raise InputError(f"{plots / folder}: no such folder; run dvc repro, which makes it")
    found = {
        path.relative_to(plots).as_posix(): "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()
        for folder in FOLDERS
        for path in sorted((plots / folder).glob("*.png"))
    }
    shown = {
        section: [Picture(name, caption, found.pop(name, None)) for name, caption in captions.items()]
        for section, captions in PICTURES.items()
    }
    return shown | {"other": [Picture(name, name, uri) for name, uri in found.items()]}


def _card(path: Path) -> Markup:
    """A card's Markdown as HTML, its headings two levels lower. Names come from labels: no raw HTML, no links."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table").disable(["link", "image", "autolink"])
    tokens = parser.parse(path.read_text(encoding="utf-8"))
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1:]) + 2)}"
    return Markup(parser.renderer.render(tokens, parser.options, {}))  # noqa: S704 - the parser escapes


def read_table(path: Path) -> pd.DataFrame:
    """Content of a CSV file that a stage has written.

    Raises:
        InputError: it is damaged.
    """
    try:
        return pd.read_csv(path, keep_default_na=False, na_values=[""])
    except pd.errors.EmptyDataError:
        # A table of no findings has no columns
        return pd.DataFrame()
    except ValueError as error:
        raise damaged(path, f"no CSV table: {error}") from error


def _by_key(table: pd.DataFrame, *columns: str) -> dict[Any, dict[str, Any]]:
    """Key -> row. The key is the value of the column, or a tuple of values if there are several columns."""
    keys = table[columns[0]] if len(columns) == 1 else zip(*(table[column] for column in columns), strict=True)
    rows: Any = table.to_dict("records")
    return dict(zip(keys, rows, strict=True))
