"""Train a base generator on some of this study's data sets, from scratch or from another base."""

import sys
from dataclasses import replace
from pathlib import Path

from study.parameters import load_pipeline
from study.places import ROOT, keep_state_in_studies
from trcgl.diffusion.generator.wording import Wording
from trcgl.diffusion.pretraining.base_folder import pretrain_folder
from trcgl.diffusion.pretraining.settings import load_pretrain_params
from trcgl.diffusion.pretraining.sources import Source
from trcgl.runtime.settings import read_yaml
from trcgl.runtime.stage import run_stage


def main() -> None:
    name = sys.argv[1]
    keep_state_in_studies()
    changes = dict(read_yaml("params.yaml")["bases"][name])
    hospitals = [load_pipeline(".", data_set) for data_set in changes.pop("data_sets")]
    sizes = replace(load_pretrain_params("pretrain.yaml"), **changes)
    shared = load_pipeline(".")
    params = shared.params({"labels.vocabulary": str(ROOT / shared.params().labels.vocabulary)})
    sources = [Source(hospital.data, Wording.of(hospital.params().diffusion)) for hospital in hospitals]
    pretrain_folder(params, sizes, Path("bases") / name, sources)


if __name__ == "__main__":
    sys.exit(run_stage(main))
