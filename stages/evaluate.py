"""Both models on the test split: metrics/metrics.json, tables, the model card, predictions and pictures."""

import sys
from pathlib import Path

import torch

from trcgl.artifacts.class_list import read_classes
from trcgl.classifier.network.model import Classifier
from trcgl.config import load_params
from trcgl.evaluation.evaluate import by_subgroup, compare, draw_pictures, localise, predict_all, predictions_table
from trcgl.evaluation.model_card import model_card
from trcgl.evaluation.places import read_lesions
from trcgl.evaluation.split import load_split
from trcgl.numerics.device import pick_device
from trcgl.runtime.files import directory_beside, read_parquet, write_csv, write_json, write_parquet, written_beside
from trcgl.runtime.stage import run_stage


def main() -> None:
    params = load_params()
    torch.set_num_threads(params.compute.threads)
    labels = read_parquet("data/labels/labels.parquet", ["image", "patient", "split"])
    classes = read_classes("data/labels/classes.json")
    data = load_split("test", labels, classes["classes"], Path("data/images/classifier"))
    models = {
        name: Classifier.load(f"data/models/{folder}").to(pick_device(params.compute.device))
        for name, folder in (("baseline", "baseline"), ("trcgl", "classifier"))
    }

    scores = predict_all(models, data, params.evaluation)
    metrics, per_class, differences, intervals = compare(models, data, scores, params.evaluation)
    lesions = read_lesions("data/phantom/lesions.parquet")
    with directory_beside("metrics/plots/evaluate") as folder:
        draw_pictures(folder, models, data, scores, lesions, params.evaluation)

    write_parquet("data/predictions.parquet", predictions_table(data, scores))
    write_csv("metrics/per_class.csv", per_class)
    write_csv("metrics/differences.csv", differences)
    write_csv("metrics/intervals.csv", intervals)
    write_csv("metrics/subgroups.csv", by_subgroup(models, data, scores, params.evaluation))
    training = labels[labels["split"] == "train"]
    write_csv("metrics/localisation.csv", localise(models, data, lesions, training, params.evaluation))
    card = model_card(
        metrics,
        per_class,
        models["trcgl"].config,
        dataset=params.dataset.name,
        test_images=len(data.names),
        test_patients=len(set(data.patients)),
    )
    with written_beside("metrics/model_card.md") as beside:
        beside.write_text(card, encoding="utf-8")
    write_json("metrics/metrics.json", metrics)


if __name__ == "__main__":
    sys.exit(run_stage(main))
