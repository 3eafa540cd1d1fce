"""The commands of every day, in fresh processes: the help, one image, and a look at a folder of 110,000 images.

    PYTHONPATH=src python -m benchmarks.everyday

Works in a temporary folder: a clone of this repository, and a data set in NIH's layout whose files are links to a few.
The floor is the interpreter, with torch where the command needs it. CPU time, the start included.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
from benchmarks.films import write_film
from benchmarks.report import print_rows, speed_row, write_results
from benchmarks.timing import take_turns

from trcgl.artifacts.preparation import Preparation
from trcgl.numerics.seeding import rng
from trcgl.runtime.files import read_json, write_json

RESULT = Path("benchmarks/results/everyday.json")
COMMAND = "PYTHONPATH=src python -m benchmarks.everyday"
IMAGES, FILMS = 110_000, 4
MODEL = Path("data/assets/phantom_detector")
HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,OriginalImage[Width,"
    "Height],OriginalImagePixelSpacing[x,y]"
)
FINDINGS = ("No Finding", "Atelectasis", "Effusion", "Effusion|Infiltration", "Mass", "Nodule", "Hernia|Mass")


def write_data_set(folder: Path) -> None:
    """`images/` and `labels.csv`; a file system lets 65,000 names lead to one file."""
    (folder / "images").mkdir()
    for number in range(FILMS):
        write_film(folder / f"film-{number}.png", number, 256)
    findings = rng("everyday").choice(FINDINGS, IMAGES)
    lines = [HEADER]
    for number, labels in enumerate(findings):
        name = f"{number // 3:08d}_{number % 3:03d}.png"
        os.link(folder / f"film-{number % FILMS}.png", folder / "images" / name)
        lines.append(f"{name},{labels},{number % 3},{number // 3},50,F,PA,256,256,0.1,0.1")
    (folder / "labels.csv").write_text("\n".join([*lines, ""]))


def write_model(folder: Path) -> None:
    """The shipped detector, which was trained on pictures, and how they are to be made from files."""
    shutil.copytree(MODEL, folder)
    config = read_json(folder / "config.json")
    write_json(folder / "config.json", config | {"preparation": asdict(Preparation(0.5, 99.5, "pad"))}, exact=True)


def run(*arguments: str, folder: Path) -> str:
    """What a command prints; doctor's exit code is 1 where it finds a problem, such as weights not yet fetched."""
    code = "import sys; from trcgl.cli import main; sys.exit(main(sys.argv[1:]))"
    environment = os.environ | {"PYTHONPATH": str(Path("src").absolute())}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode in (0, 1), done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout


def bare(code: str) -> None:
    subprocess.run([sys.executable, "-c", code], check=True)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_data_set(folder)
        write_model(folder / "model")
        model = str(folder / "model")
        clone = folder / "clone"
        subprocess.run(["git", "clone", "-q", ".", str(clone)], check=True)
        given = ("--images", str(folder / "images"), "--labels", str(folder / "labels.csv"))
        run("init", "nih", *given, folder=clone)
        assert f"{IMAGES} image files" in run("doctor", folder=clone)
        assert "film-0.png" in run("predict", "--model", model, str(folder / "film-0.png"), folder=clone)
        timed = take_turns(
            {
                "help": lambda: run("--help", folder=clone),
                "predict": lambda: run("predict", "--model", model, str(folder / "film-0.png"), folder=clone),
                "doctor": lambda: run("doctor", folder=clone),
                "interpreter": lambda: bare("pass"),
                "torch": lambda: bare("import torch"),
            },
            rounds=5,
            warm_up=False,
        )
    rows = [
        speed_row(
            f"{question}, against {most:g} s",
            ours=timed.median(command),
            peer=most,
            floor=timed.median(floor),
            unit="CPU s",
            ratios=np.array(timed.seconds[command]) / most,
            most=1.0,
            command=COMMAND,
        )
        for question, command, floor, most in (
            ("trcgl --help", "help", "interpreter", 0.3),
            ("trcgl predict of one image", "predict", "torch", 4.0),
            (f"trcgl doctor on {IMAGES:,} files", "doctor", "torch", 5.0),
        )
    ]
    print_rows(rows)
    write_results(RESULT, rows)


if __name__ == "__main__":
    main()
