"""Score both models on the test split: metrics/metrics.json, tables, the model card, predictions and pictures."""

import sys
from pathlib import Path

from trcgl.artifacts.class_list import read_classes
from trcgl.classifier.network.model import Classifier, preparation_of
from trcgl.config import load_params
from trcgl.evaluation.attention import draw_attention
from trcgl.evaluation.bootstrap import image_weights
from trcgl.evaluation.compare import OURS, REFERENCE, compare
from trcgl.evaluation.localisation import localise
from trcgl.evaluation.model_card import model_card
from trcgl.evaluation.pictures import draw_pictures
from trcgl.evaluation.places import read_lesions
from trcgl.evaluation.predictions import predictions_table, score
from trcgl.evaluation.resampled import resample_models
from trcgl.evaluation.split import load_split
from trcgl.evaluation.subgroups import subgroup_table
from trcgl.numerics.device import pick_device, use_threads
from trcgl.runtime.files import directory_beside, read_parquet, write_csv, write_json, write_parquet_parts, write_text
from trcgl.runtime.memory import naming_the_knob
from trcgl.runtime.stage import run_stage


@naming_the_knob(None)
def main() -> None:
    params = load_params()
    use_threads(params.compute.threads)
    labels = read_parquet("data/labels/labels.parquet", ["image", "patient", "split"])
    classes = read_classes("data/labels/classes.json")
    data = load_split("test", labels, classes["classes"], Path("data/images/classifier"))
    models = {
        name: Classifier.load(f"data/models/{folder}").to(pick_device(params.compute.device))
        for name, folder in ((REFERENCE, "baseline"), (OURS, "classifier"))
    }

    scored = score(models, data, params.evaluation)
    weights = image_weights(data.patients, params.evaluation.bootstrap_samples)
    resampled = resample_models(scored, weights)
    found = compare(scored, resampled)
    lesions = read_lesions("data/places/places.parquet", "data/phantom/lesions.parquet")
    with directory_beside("metrics/plots/evaluate") as folder:
        draw_pictures(folder, scored, resampled)
        overlays = params.evaluation.overlays_per_finding
        draw_attention(folder / "attention.png", models[OURS], data, scored.scores[OURS], lesions, overlays)

    write_parquet_parts("data/predictions.parquet", predictions_table(data, scored.scores))
    write_csv("metrics/per_class.csv", found.per_class)
    write_csv("metrics/differences.csv", found.differences)
    write_csv("metrics/intervals.csv", found.intervals)
    write_csv("metrics/subgroups.csv", subgroup_table(scored, data.about, params.evaluation))
    resize = preparation_of(models[OURS], "data/models/classifier").resize
    training = labels[labels["split"] == "train"]
    write_csv("metrics/localisation.csv", localise(models, data, lesions, weights, resize, training))
    card = model_card(
        found.metrics,
        found.per_class,
        models[OURS].config,
        dataset=params.dataset.name,
        test_images=len(data.names),
        test_patients=len(set(data.patients)),
        scalings=models[OURS].scalings,
    )
    write_text("metrics/model_card.md", card)
    write_json("metrics/metrics.json", found.metrics)


if __name__ == "__main__":
    sys.exit(run_stage(main))
