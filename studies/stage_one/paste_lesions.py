"""The pool copy_paste of a replicate: grafts whose regions are the renderer's masks of the lesions.

This is what grafts would be if the generator localised perfectly. Findings without a lesion mask have no grafts.
"""

import sys

import numpy as np

from study.arms import load_study
from study.graft_pools import write_grafts
from study.places import keep_state_in_studies
from trcgl.artifacts.places import decode_mask, read_place_table
from trcgl.artifacts.shards import ShardedImages
from trcgl.diffusion.sampling.graft import MARGIN, widened
from trcgl.runtime.stage import run_stage


def main() -> None:
    replicate = sys.argv[1]
    keep_state_in_studies()
    study = load_study(".", replicate)
    lesions = read_place_table(study.data / "phantom/lesions.parquet")
    masks = dict(zip(zip(lesions["image"], lesions["finding"], strict=True), lesions["mask"], strict=True))

    def region(image: str, finding: str) -> np.ndarray | None:
        if (image, finding) not in masks:
            return None
        return widened(decode_mask(masks[image, finding]), MARGIN)

    write_grafts(study, int(replicate), "copy_paste", region, ShardedImages(study.data / "images/classifier"))


if __name__ == "__main__":
    sys.exit(run_stage(main))
