"""The pool cam_grafts of a replicate: the regions are where its judge sees the findings, and no generator is asked.

As many as drawn_informed has accepted images; all else is as for grafts.
"""

import sys
from dataclasses import replace

import numpy as np

from study.arms import load_study
from study.cam_maps import cam_map
from study.places import keep_state_in_studies
from study.pools import PoolImage, accepted_counts, write_pool
from trcgl.artifacts.class_list import read_classes
from trcgl.artifacts.shards import ShardedImages
from trcgl.classifier.network.model import Classifier
from trcgl.diffusion.generator.rows import ABOUT, class_names, training_rows
from trcgl.diffusion.generator.saved import GeneratorCard
from trcgl.diffusion.sampling.graft import region_of, soft_edged
from trcgl.diffusion.sampling.grafted_plan import Regions, plan_grafts
from trcgl.diffusion.sampling.sample import starting_pictures
from trcgl.runtime.files import read_parquet
from trcgl.runtime.stage import run_stage


def main() -> None:
    replicate = sys.argv[1]
    keep_state_in_studies()
    study = load_study(".", replicate)
    sampling = study.params().sampling
    images = ShardedImages(study.data / "images/classifier")
    labels = read_parquet(study.data / "labels/labels.parquet", ABOUT)
    classes = read_classes(study.data / "labels/classes.json")
    rows = training_rows(labels, classes, list(images.index["image"]))
    judge = Classifier.load(study.folder / f"runs/judge-{replicate}/model")
    wanted = accepted_counts(study.pool_of("drawn_informed", int(replicate)))

    def find(row: int, finding: str) -> np.ndarray:
        seen = cam_map(judge, images.read([rows.images[row]])[0], finding)
        return soft_edged(region_of(seen, sampling.region_threshold), images.size)

    regions, most = Regions(find), replace(sampling, images_per_finding=max(wanted.values(), default=0))
    # Nobody reads the prompts
    card = GeneratorCard("", None, False, "{findings}", "", 0, 0, 0, images.size, {n: n for n in class_names(classes)})
    plan = plan_grafts(rows, card, replace(most, images_per_real_image=None), images, regions)
    plan = [sample for sample in plan if int(sample.sample.rpartition("-")[2]) < wanted.get(sample.target, 0)]
    made = [PoolImage(s.target, s.findings, f"{s.source} on {s.carrier.image}", s.unknown) for s in plan]
    pictures = (starting_pictures([sample], images, regions)[0] for sample in plan)
    write_pool(study.pool_of("cam_grafts", int(replicate)), "cam-grafts", made, pictures, images.size)


if __name__ == "__main__":
    sys.exit(run_stage(main))
