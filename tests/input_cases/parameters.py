"""A damaged params file, or impossible values."""

import json
from pathlib import Path

from tests.input_cases.case import PARSE, Case
from tests.input_cases.spoiling import delete, folder_instead, params, put, substitute


def without_key(folder: Path) -> None:
    values = json.loads((folder / "params.yaml").read_text())
    del values["labels"]["min_positives"]
    (folder / "params.yaml").write_text(json.dumps(values))


PARAMETERS = (
    Case(
        "Parameters",
        "unknown key",
        PARSE,
        substitute("params.yaml", '"min_positives"', '"min_positive"'),
        "params.yaml: unknown key 'labels.min_positive'; did you mean 'min_positives'?",
    ),
    Case(
        "Parameters",
        "unknown key, none similar",
        PARSE,
        params(graph__zzz=1),
        "params.yaml: unknown key 'graph.zzz'; known keys: smoothing",
    ),
    Case(
        "Parameters",
        "missing key",
        PARSE,
        without_key,
        "params.yaml: key 'labels.min_positives' is missing; add it (the shipped file has every key)",
    ),
    Case(
        "Parameters",
        "no file",
        PARSE,
        delete("params.yaml"),
        "params.yaml: cannot be read (No such file or directory); run in the project's folder, or name another file",
    ),
    Case(
        "Parameters",
        "a folder",
        PARSE,
        folder_instead("params.yaml"),
        "params.yaml: cannot be read (Is a directory); run in the project's folder, or name another file",
    ),
    Case(
        "Parameters",
        "empty file",
        PARSE,
        put("params.yaml", ""),
        "params.yaml: the file is empty; it must hold keys with values",
    ),
    Case(
        "Parameters",
        "not YAML",
        PARSE,
        put("params.yaml", "labels: [1, 2\nimages: }"),
        "params.yaml line 2: not valid YAML (...)",
    ),
    Case(
        "Parameters",
        "not UTF-8",
        PARSE,
        put("params.yaml", "dataset: caf\u00e9".encode("latin-1")),
        "params.yaml: not text in UTF-8 (byte 12); save it as UTF-8",
    ),
    Case(
        "Parameters",
        "a key twice",
        PARSE,
        put("params.yaml", "labels: 1\nlabels: 2\n"),
        "params.yaml line 2: not valid YAML (found duplicate key ...)",
    ),
    Case(
        "Parameters",
        "a section that is a number",
        PARSE,
        substitute("params.yaml", '"graph": {', '"graph": 3, "x": {'),
        "params.yaml: ...",
    ),
    Case(
        "Parameters",
        "text for a whole number",
        PARSE,
        params(labels__min_positives="ten"),
        "params.yaml: 'labels.min_positives' is 'ten'; it must be a whole number",
    ),
    Case(
        "Parameters",
        "fraction for a whole number",
        PARSE,
        params(baseline__epochs=1.5),
        "params.yaml: 'baseline.epochs' is 1.5; it must be a whole number",
    ),
    Case(
        "Parameters",
        "true for a number",
        PARSE,
        params(labels__min_positives=True),
        "params.yaml: 'labels.min_positives' is True; it must be a whole number",
    ),
    Case(
        "Parameters",
        "empty value",
        PARSE,
        params(images__resize=None),
        "params.yaml: 'images.resize' is empty; it must be one of: pad, crop",
    ),
    Case(
        "Parameters",
        "not a number",
        PARSE,
        params(baseline__lr=float("nan")),
        "params.yaml: 'baseline.lr' is ...; it must be a ...number",
    ),
    Case(
        "Parameters",
        "out of range",
        PARSE,
        params(classifier__extra_weight=1.2),
        "params.yaml: 'classifier.extra_weight' is 1.2; it must be between 0.0 and 1.0",
    ),
    Case(
        "Parameters",
        "below the smallest",
        PARSE,
        params(baseline__batch_size=0),
        "params.yaml: 'baseline.batch_size' is 0; it must be at least 1",
    ),
    Case(
        "Parameters",
        "not one of the choices",
        PARSE,
        params(classifier__loss="bcee"),
        "params.yaml: 'classifier.loss' is 'bcee'; it must be one of: bce, ...",
    ),
    Case(
        "Parameters",
        "unknown data set",
        PARSE,
        params(dataset__name="openi"),
        "params.yaml: 'dataset.name' is 'openi'; it must be one of: phantom, padchest, nih, ...",
    ),
    Case(
        "Parameters",
        "text for a list",
        PARSE,
        params(labels__not_findings="normal"),
        "params.yaml: 'labels.not_findings' is 'normal'; it must be a list",
    ),
    Case(
        "Parameters",
        "sizes of boxes without boxes",
        PARSE,
        params(dataset__box_sizes="sizes.csv"),
        "params.yaml: 'dataset.box_sizes' is set without 'dataset.boxes'; set both, or neither",
    ),
    Case(
        "Parameters",
        "boxes for a head whose maps are no scores",
        PARSE,
        params(dataset__boxes="boxes.csv", classifier__head="mldecoder"),
        "params.yaml: 'classifier.head' mldecoder cannot learn from 'dataset.boxes' (its class maps are attention times "
        "probability, not scores); set 'classifier.place_weight' to 0",
    ),
    Case(
        "Parameters",
        "a weight of boxes below 0",
        PARSE,
        params(classifier__place_weight=-1.0),
        "params.yaml: 'classifier.place_weight' is -1.0; it must be at least 0.0",
    ),
    Case(
        "Parameters",
        "limits that make a finding both head and tail",
        PARSE,
        params(labels__tail_below=0.5, labels__head_above=0.1),
        "params.yaml: 'labels.tail_below' (0.5) must not be above 'labels.head_above' (0.1): a finding has only one group",
    ),
    Case(
        "Parameters",
        "no patients left for training",
        PARSE,
        params(labels__validation_fraction=0.5, labels__test_fraction=0.5),
        "params.yaml: 'labels.validation_fraction' + 'labels.test_fraction' is 1; it must leave patients for training "
        "(below 1)",
    ),
    Case(
        "Parameters",
        "no epochs",
        PARSE,
        params(baseline__epochs=0, baseline__frozen_epochs=0),
        "params.yaml: 'baseline.frozen_epochs' + 'baseline.epochs' is 0; at least one epoch is needed",
    ),
    Case(
        "Parameters",
        "a batch that cannot be divided into equal parts",
        PARSE,
        params(baseline__accumulate=5),
        "params.yaml: 'baseline.accumulate' is 5; it must divide 'baseline.batch_size' (...) into equal parts",
    ),
    Case(
        "Parameters",
        "a number of heads that CSRA does not have",
        PARSE,
        params(classifier__csra_heads=3),
        "params.yaml: 'classifier.csra_heads' is 3; it must be one of: 1, 2, 4, 6, 8 (as in the paper)",
    ),
    Case(
        "Parameters",
        "a width that is not a multiple of the decoder's heads",
        PARSE,
        params(classifier__decoder_width=100),
        "params.yaml: 'classifier.decoder_width' is 100; it must be a multiple of 8, ...",
    ),
    Case(
        "Parameters",
        "a graph that does not fit the head",
        PARSE,
        params(classifier__head="mlgcn", classifier__adjacency="paper"),
        "params.yaml: 'classifier.adjacency' is paper; with 'classifier.head' mlgcn it must be null, mlgcn (its paper's) or "
        "identity (the control)",
    ),
    Case(
        "Parameters",
        "a head without its label vectors",
        PARSE,
        params(classifier__head="mlgcn", classifier__label_vectors=None),
        "params.yaml: 'classifier.label_vectors' is null; with 'classifier.head' mlgcn it must be a file of word vectors",
    ),
    Case(
        "Parameters",
        "test-time flips for a model trained without flips",
        PARSE,
        params(evaluation__test_time_flip=True),
        "params.yaml: 'evaluation.test_time_flip' is true, but a model is trained without flips; ...",
    ),
    Case(
        "Parameters",
        "both ways to set the number of samples",
        PARSE,
        params(sampling__images_per_real_image=2.0),
        "params.yaml: of 'sampling.images_per_finding' and 'sampling.images_per_real_image' both are set; ...",
    ),
    Case(
        "Parameters",
        "guidance that ends before it begins",
        PARSE,
        params(sampling__guidance_start=0.8, sampling__guidance_end=0.2),
        "params.yaml: 'sampling.guidance_start' (0.8) must not be above 'sampling.guidance_end' (0.2); equal means no guidance",
    ),
    Case(
        "Parameters",
        "grafts with other findings than the target",
        PARSE,
        params(sampling__carriers="grafted", sampling__label_sets="real"),
        "params.yaml: 'sampling.label_sets' is real; with 'sampling.carriers' grafted it must be single (a region holds one "
        "finding)",
    ),
    Case(
        "Parameters",
        "samples that are their carriers",
        PARSE,
        params(sampling__carriers="normal", sampling__strength=0),
        "params.yaml: 'sampling.strength' is 0 with 'sampling.carriers' normal: every image would be a copy of a real one; "
        "raise strength (0.85 goes with normal, 0.55 with own), or set carriers to grafted",
    ),
    Case(
        "Parameters",
        "a single step from a carrier",
        PARSE,
        params(sampling__strength=0.5, sampling__steps=1),
        "params.yaml: 'sampling.steps' is 1 with 'sampling.strength' 0.5: a single step begins from pure noise, and nothing of "
        "the carrier is left; raise steps",
    ),
    Case(
        "Parameters",
        "grafts of which nothing would be left",
        PARSE,
        params(sampling__strength=1.0),
        "params.yaml: 'sampling.strength' is 1 with 'sampling.carriers' grafted: from pure noise nothing of a graft is left; lower "
        "strength (0: the graft as it is), or set carriers to own",
    ),
)
