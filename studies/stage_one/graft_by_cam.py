"""The pool cam_grafts of a replicate: grafts whose regions come from the judge's class activation maps."""

import sys

import numpy as np

from study.arms import load_study
from study.cam_maps import cam_map, cam_shift
from study.graft_pools import write_grafts
from study.places import keep_state_in_studies
from trcgl.artifacts.shards import ShardedImages
from trcgl.classifier.network.model import Classifier
from trcgl.diffusion.sampling.graft import region_of
from trcgl.runtime.stage import run_stage


def main() -> None:
    replicate = sys.argv[1]
    keep_state_in_studies()
    study = load_study(".", replicate)
    threshold, images = study.params().sampling.region_threshold, ShardedImages(study.data / "images/classifier")
    judge = Classifier.load(study.folder / f"runs/judge-{replicate}/model")
    shift = cam_shift(judge, images)

    def region(image: str, finding: str) -> np.ndarray:
        return region_of(cam_map(judge, images.read([image])[0], finding, shift), threshold)

    write_grafts(study, int(replicate), "cam_grafts", region, images)


if __name__ == "__main__":
    sys.exit(run_stage(main))
