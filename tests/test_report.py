"""The page: every picture once, nothing from outside it, the figures of metrics.json, nobody's id."""

import base64
import dataclasses
import io
import json
import runpy
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from tests.tiny_project import copy_project, stage
from trcgl.config import load_params
from trcgl.report import pictures
from trcgl.report.page import PICTURES, params_hash, read_table, report_page
from trcgl.report.pictures import classifier_curves, same_loss
from trcgl.runtime.errors import InputError

NAME = "mass <b> & [x](http://example.org/) ![y](z.png)"
CSV = {
    "baseline_history": "epoch,phase,loss,val_mAP\n1,all,2.5,0.2\n2,all,1.5,0.3\n",
    "classifier_history": "epoch,phase,loss,val_mAP\n1,all,2.4,0.25\n2,all,1.4,0.4\n",
    "diffusion_loss": "phase,step,loss\nautoencoder,3,0.4\nprompt,2,0.2\n",
    "synthetic_per_class": "finding,drawn,seen,accepted,not_judged,rejected_copy,rejected_finding,"
    f"rejected_outlier,rejected_twin,judge_auc\n{NAME},7,6,3,1,4,0,0,0,\n",
    "per_class": "model,class,group,positives,AP,AUC,F1,threshold,F1_fixed,ECE,Brier,AP_prevalence\n"
    f"trcgl,{NAME},tail,4,0.5,0.6,0.7,0.1,0.2,0.01,0.02,0.4321\n"
    f"baseline,{NAME},tail,4,0.4,0.6,0.7,0.1,0.2,0.01,0.02,0.3217\n",
    "intervals": "model,metric,value,low,high\ntrcgl,mAP,0.75,0.7123,0.7877\nbaseline,mAP,0.5,0.4,0.6\n",
    "differences": "model,reference,metric,value,reference_value,difference,low,high\n"
    "trcgl,baseline,mAP,0.75,0.5,0.25,-0.0123,0.45\n",
    "subgroups": "model,subgroup,value,images,patients,scored_classes,mAP,mAP_low,mAP_high,head_mAP,medium_mAP,"
    "tail_mAP,mAUC,mF1,ECE\n",
    "localisation": "model,method,finding,group,images,pointing,low,high,iou,centre,iou_low,iou_high\n",
}
BLOCK = dict.fromkeys(("mAP", "head_mAP", "medium_mAP", "tail_mAP", "mAUC", "mF1", "ECE"), 0.123456)
JSON = {
    "metrics/metrics.json": {
        "trcgl": BLOCK | {"mAP": 0.75, "head_mAP": None},  # as write_json writes what has no value
        "baseline": BLOCK,
        "gain": {"mAP": 0.25, "tail_mAP": -0.0321, "tail_mAP_low": -0.1, "tail_mAP_high": 0.2},
        "scored_classes": 1,
    },
    "metrics/labels.json": {
        "rows": 31, "kept": 29, "rejected": {"total": 2, "labels_missing": 2}, "images": {"train": 29},
        "patients": {"train": 17}, "findings": {"head": 0, "medium": 0, "tail": 1}, "dropped_findings": 3,
    },
    "metrics/diffusion.json": {"held_out_tail_loss": {"base": 0.4, "finetuned": 0.3, "images": 5}},
    "data/models/classifier/config.json": {"extra_source": "synthetic", "extra_images": 3, "known_places": 0},
    "metrics/synthetic.json": {"drawn": 7, "accepted": 3},
    "data/labels/classes.json": {
        "classes": [
            {"name": NAME, "group": "tail", "positives": {"train": 9, "val": 2, "test": 4}, "prevalence": 0.3}
        ]
    },
}  # fmt: skip
NOT_DRAWN, UNKNOWN = "audit_synthetic/nearest_real_images.png", "evaluate/another.png"


class Page(HTMLParser):
    """What a browser would show or fetch."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.pictures: list[bytes] = []
        self.references: list[str] = []
        self.figures: dict[str, str] = {}
        self.words: list[str] = []
        self.tags: set[str] = set()
        self._key: str | None = None
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            value = value or ""
            if name == "src" and value.startswith("data:image/png;base64,"):
                self.pictures.append(base64.b64decode(value.partition(",")[2], validate=True))
            elif name in ("src", "href", "srcset", "action", "data", "poster"):
                self.references.append(value)
            else:
                self.words.append(value)
        self._key = dict(attrs).get("data-key")

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        if self._key:
            self.figures[self._key], self._key = data, None


def check_page(folder: Path) -> None:
    """What holds for the page of any finished run in `folder`."""
    page = Page(folder / "metrics/report.html")
    text = "\n".join(page.words)
    files = [path.read_bytes() for path in (folder / "metrics/plots").rglob("*.png")]
    assert sorted(page.pictures) == sorted(files)
    for picture in page.pictures:
        Image.open(io.BytesIO(picture)).verify()
    assert all(reference.startswith("#") for reference in page.references)
    assert not page.tags & {"script", "link", "iframe", "object", "embed", "base"}
    assert "url(" not in text
    assert "@import" not in text

    wanted = {}
    for key, value in json.loads((folder / "metrics/metrics.json").read_text()).items():
        wanted |= {f"{key}.{name}": v for name, v in value.items()} if isinstance(value, dict) else {key: value}
    assert page.figures == {key: _printed(key, value) for key, value in wanted.items()}

    patients = pd.read_parquet(folder / "data/labels/labels.parquet", columns=["patient"])["patient"]
    assert not [patient for patient in patients.unique() if patient in text]
    assert str(folder) not in text
    assert "not for diagnosis" in text.lower()


def _printed(key: str, value: float | None) -> str:
    if value is None:
        return "–"
    return str(value) if isinstance(value, int) else format(value, "+.3f" if key.startswith("gain") else ".3f")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which all stages before the page have left something, and the page is made."""
    folder = copy_project(tmp_path_factory.mktemp("report") / "project")
    for name in ("metrics", "data/labels", "data/images", "data/models/classifier"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for name, text in CSV.items():
        (folder / f"metrics/{name}.csv").write_text(text)
    for name, value in JSON.items():
        (folder / name).write_text(json.dumps(value))
    for name in ("model_card", "synthetic_card"):
        (folder / f"metrics/{name}.md").write_text(f"# Card\n\n| finding | AP |\n|---|---|\n| {NAME} | **{name}** |\n")
    pd.DataFrame({"patient": ["patient-0017", "patient-0018"]}).to_parquet(folder / "data/labels/labels.parquet")
    pd.DataFrame({"path": ["patient-0017/a.png"], "reason": ["empty file"]}).to_parquet(
        folder / "data/images/unreadable.parquet"
    )
    known = {name for captions in PICTURES.values() for name in captions if not name.startswith("report/")}
    for i, name in enumerate(sorted(known - {NOT_DRAWN} | {UNKNOWN})):
        path = folder / "metrics/plots" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4), i).save(path)
    stage(folder, "report")
    return folder


def test_the_page_holds_what_the_run_left(finished: Path):
    check_page(finished)
    text = "\n".join(Page(finished / "metrics/report.html").words)
    assert f"{NOT_DRAWN}: nothing to draw in this run." in text
    for shown in (NAME, UNKNOWN, "0.712 to 0.788", "-0.012 to +0.450", "labels missing", "empty file", "model_card"):
        assert shown in text, shown


def test_the_page_says_on_what_the_model_was_trained(finished: Path, tmp_path: Path):
    """The saved model knows: with few extra images, an exposure above 0 may round to none."""
    root = tmp_path / "project"
    shutil.copytree(finished, root)
    config = root / "data/models/classifier/config.json"
    for source, count, said in (
        ("synthetic", 0, "real images only"),
        ("duplicates", 4, "real images, some of the tail"),
    ):
        config.write_text(json.dumps({"extra_source": source, "extra_images": count, "known_places": 0}))
        assert f"trained a classifier on {said}" in report_page(root, load_params(root / "params.yaml"))


def test_each_curve_is_under_the_name_of_its_model(finished: Path, monkeypatch: pytest.MonkeyPatch):
    """In the histories that the stage reads, the baseline's loss ends at 1.5 and the classifier's at 1.4."""
    drawn: dict[str, pd.DataFrame] = {}

    def curves(histories: dict[str, pd.DataFrame], alike: bool) -> Figure:
        drawn.update(histories)
        return classifier_curves(histories, alike)

    monkeypatch.setattr(pictures, "classifier_curves", curves)
    monkeypatch.chdir(finished)
    runpy.run_path("stages/report.py")["main"]()
    assert {model: history["loss"].tolist()[-1] for model, history in drawn.items()} == {"baseline": 1.5, "trcgl": 1.4}


def test_losses_of_two_kinds_are_said_to_be(finished: Path):
    params, history = (
        load_params(finished / "params.yaml"),
        pd.DataFrame({"epoch": [1], "loss": [1.0], "val_mAP": [0.5]}),
    )
    other = dataclasses.replace(params, baseline=dataclasses.replace(params.baseline, loss="asl"))
    found = []
    for known in (same_loss(params, 0), same_loss(params, 7), same_loss(other, 0)):
        figure = classifier_curves({"trcgl": history}, known)
        found.append([axes.get_title() for axes in figure.axes])
        plt.close(figure)
    own = ["training loss (each model has its own)", "validation mAP"]
    assert found == [["training loss", "validation mAP"], own, own]


def test_the_page_says_what_the_parameters_say(finished: Path):
    params = load_params(finished / "params.yaml")
    page = report_page(finished, params)
    assert "had already been trained on" not in page
    assert "trained a classifier on real and accepted images" in page
    assert "higher than 25 % of the real validation images" in page
    classifier = dataclasses.replace(params.classifier, weights_have_seen=("imagenet", "nih"))
    changed = dataclasses.replace(
        params, classifier=classifier, audit=dataclasses.replace(params.audit, seen_percentile=62.5)
    )
    page = report_page(finished, changed)
    assert "The initial weights of trcgl had already been trained on imagenet, nih." in page
    assert "higher than 62.5 % of the real validation images" in page
    for tail, said in ((None, False), (("mass",), True)):
        changed = dataclasses.replace(params, labels=dataclasses.replace(params.labels, tail_findings=tail))
        assert ("the tail is the list of labels.tail_findings" in report_page(finished, changed)) is said


def test_the_same_run_gives_the_same_page(finished: Path):
    before = (finished / "metrics/report.html").read_bytes()
    assert report_page(finished, load_params(finished / "params.yaml")).encode() == before


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda root: (root / "metrics/intervals.csv").unlink(), "intervals.csv"),
        (lambda root: shutil.rmtree(root / "metrics/plots/sample_tail"), "sample_tail: no such folder; run dvc repro"),
        (lambda root: (root / "metrics/metrics.json").write_text("{"), "metrics.json: damaged or cut short"),
        (
            lambda root: (root / "metrics/per_class.csv").write_text('a,b\n"'),
            "per_class.csv: damaged or cut short .no CSV table",
        ),
    ],
    ids=["no file", "no folder", "damaged JSON", "damaged table"],
)
def test_what_is_missing_is_named(finished: Path, tmp_path: Path, spoil: Callable[[Path], object], message: str):
    root = tmp_path / "project"
    shutil.copytree(finished, root, ignore=shutil.ignore_patterns(".git", "assets"))
    spoil(root)
    with pytest.raises((InputError, FileNotFoundError), match=message):
        report_page(root, load_params(finished / "params.yaml"))


def test_a_missing_input_is_one_line_and_keeps_the_old_page(finished: Path, tmp_path: Path):
    root = tmp_path / "project"
    shutil.copytree(finished, root)
    (root / "metrics/diffusion.json").unlink()
    before = (root / "metrics/report.html").read_bytes()
    lines = stage(root, "report", expect=1).strip().splitlines()
    assert lines == ["error: metrics/diffusion.json: No such file or directory; if a stage makes it, run dvc repro"]
    assert (root / "metrics/report.html").read_bytes() == before


def test_a_table_of_nothing_has_no_rows(tmp_path: Path):
    pd.DataFrame([]).to_csv(tmp_path / "empty.csv", index=False)
    assert len(read_table(tmp_path / "empty.csv")) == 0


def test_the_hash_is_of_what_shapes_a_result():
    params = load_params()
    machine = dataclasses.replace(params, compute=dataclasses.replace(params.compute, device="cuda", workers=7))
    other = dataclasses.replace(params, classifier=dataclasses.replace(params.classifier, lr=0.5))
    assert params_hash(params) == params_hash(machine) != params_hash(other)


def test_the_page_says_what_the_generator_learned(finished: Path) -> None:
    text = " ".join(" ".join(Page(finished / "metrics/report.html").words).split())
    assert "5 held-out validation images of tail findings: 0.400 before, 0.300 after." in text
    assert "0.322 (baseline), 0.432 (trcgl)." in text
