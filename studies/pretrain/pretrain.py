"""The base generator from nothing, on the data of this study."""

import sys
from pathlib import Path

from study.parameters import load_pipeline
from study.places import ROOT, keep_state_in_studies
from trcgl.config import load_pretrain_params
from trcgl.diffusion.pretraining.base_folder import pretrain_folder
from trcgl.runtime.stage import run_stage


def main() -> None:
    keep_state_in_studies()
    study = load_pipeline(".")
    vocabulary = ROOT / study.params().labels.vocabulary
    params = study.params({"labels.vocabulary": str(vocabulary)})
    pretrain_folder(params, load_pretrain_params("pretrain.yaml"), Path("base"))


if __name__ == "__main__":
    sys.exit(run_stage(main))
