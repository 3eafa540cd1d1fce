"""The generator of one seed, fitted anew: judge, fine-tuning, sampling and audit by the root's own stage scripts."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from ruamel.yaml import YAML

from trcgl.config import load_params, override, read_yaml
from trcgl.evaluation.study import load_study
from trcgl.runtime.checkpoint import ResumePoint
from trcgl.runtime.errors import InputError, exit_code
from trcgl.runtime.files import directory_beside

ROOT = Path(__file__).resolve().parents[2]
STAGES = ("train_baseline", "finetune_diffusion", "sample_tail", "audit_synthetic")
LINKED = ("images", "labels", "assets")
KEPT = ("data/synthetic", "data/synthetic_audit.parquet", "metrics/synthetic.json", "metrics/synthetic_per_class.csv")


def main() -> None:
    seed = int(sys.argv[1])
    os.environ.setdefault("DVC_ROOT", str(ROOT))
    overrides = load_study(".").generator_overrides(seed)
    load_params(ROOT / "params.yaml", overrides)
    values = read_yaml(ROOT / "params.yaml")
    override(values, overrides, "params.yaml")
    resume = ResumePoint(
        f"ablation-generator-{seed}",
        params=values,
        inputs=[
            *(ROOT / "stages" / f"{stage}.py" for stage in STAGES),
            *(ROOT / "data" / part for part in ("images/diffusion/index.parquet", "labels/labels.parquet")),
        ],
    )
    work = resume.folder / "work"
    prepare(work, values)
    done = (resume.load() or {"done": 0})["done"]
    for number, stage in enumerate(STAGES[done:], done + 1):
        run_stage(stage, work)
        resume.save({"done": number})
    with directory_beside(f"runs/generator-{seed}") as folder:
        # The models stay behind: nobody needs them once their images are judged
        for kept in KEPT:
            shutil.move(work / kept, folder / Path(kept).name)
    resume.clear()


def prepare(work: Path, values: object) -> None:
    """A working folder in which a stage script finds its parameters and, by links, what the root pipeline wrote."""
    (work / "data").mkdir(parents=True, exist_ok=True)
    for shared in LINKED:
        link = work / "data" / shared
        if not link.is_symlink():
            link.symlink_to(ROOT / "data" / shared)
    YAML().dump(values, work / "params.yaml")


def run_stage(stage: str, work: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run([sys.executable, ROOT / "stages" / f"{stage}.py"], cwd=work, env=environment)
    if done.returncode:
        raise InputError(f"stage {stage} ended with {done.returncode}; run this again to continue there")


if __name__ == "__main__":
    sys.exit(exit_code(main))
