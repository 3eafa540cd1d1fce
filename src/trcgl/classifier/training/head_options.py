"""The options of a head from the parameters; where a parameter is null, the head's own default is used."""

from typing import Any

from trcgl.config import ClassifierParams

GATE_REDUCTION = 16
"""Reduction of the gate's bottleneck, as in the paper."""
LABEL_EMBEDDING = 256
"""Width of the learned label embeddings and of the graph's hidden layer, as in the paper."""
GRAPH_DROPOUT = 0.1
"""Dropout between the graph's two layers, as in the paper."""
OWN: dict[str, dict[str, Any]] = {
    # Default of the authors' code and of the winner of CXR-LT 2026; the authors use 0.1 to 0.5, a value per data set
    "csra": {"csra_lambda": 0.1},
    "mlgcn": {"adjacency": "mlgcn"},
    # As published; fixed
    "trcgl_paper": {"gate_strength": 0.05, "attention_strength": 0.1, "graph_strength": 0.05, "adjacency": "paper"},
    # Initial values. On validation images (three seeds) attention_strength 0.5 was better than 0.1 and 1.0, and
    # gate_strength 0.1 than 0 and 1.0, within random variation; with graph_strength 0.5 some seeds learned far less
    "trcgl": {
        "row_length": "unit",
        "gate_strength": 0.1,
        "attention_strength": 0.5,
        "attention_temperature": 1.0,
        "graph_strength": 0.1,
        "adjacency": "lift",
    },
}
"""Head -> its own defaults, which are used where the params file says null."""
THRESHOLDS = {"paper": 0.02, "mlgcn": 0.4}
"""Adjacency -> its `adjacency_threshold` where that is null, as in its paper; the others have no threshold."""


def value(params: ClassifierParams, knob: str) -> Any:
    """The value of a parameter of the head: from the params file, or the head's own default where that is null."""
    given = getattr(params, knob)
    return OWN[params.head][knob] if given is None else given


def adjacency_threshold(params: ClassifierParams) -> float:
    """The threshold from the params file, or the adjacency's own default where that is null; 0 without a default."""
    given = params.adjacency_threshold
    return THRESHOLDS.get(value(params, "adjacency"), 0.0) if given is None else given


def head_options(params: ClassifierParams) -> dict[str, Any]:
    """The keyword arguments of the head that `params` names."""
    if params.head == "csra":
        return {"heads": params.csra_heads, "strength": value(params, "csra_lambda")}
    if params.head == "mlgcn":
        return {"hidden": LABEL_EMBEDDING}
    if params.head == "mldecoder":
        return {"width": params.decoder_width}
    if params.head == "linear":
        return {}
    options = {
        "gate_strength": value(params, "gate_strength"),
        "gate_reduction": GATE_REDUCTION,
        "attention_strength": value(params, "attention_strength"),
        "graph_strength": value(params, "graph_strength"),
        "label_embedding": LABEL_EMBEDDING,
        "graph_dropout": GRAPH_DROPOUT,
    }
    if params.head == "trcgl":
        options["attention_temperature"] = value(params, "attention_temperature")
        # Written only if it is not the head's default, so that config files of earlier and later models are alike
        if (length := value(params, "row_length")) != "unit":
            options["row_length"] = length
    return options
