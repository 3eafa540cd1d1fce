"""A saved classifier as one ONNX file (https://onnx.ai), for programs that have neither Python nor torch."""

import copy
import dataclasses
import json
import logging
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from trcgl.classifier.network.label_graph import ClassVectors
from trcgl.classifier.network.model import Classifier
from trcgl.inference.pretrained import TRCGLNet
from trcgl.numerics.seeding import rng
from trcgl.runtime.errors import InputError
from trcgl.runtime.files import written_beside
from trcgl.runtime.output_paths import check_output

# Before the import, which otherwise writes an id of this machine into the home folder and sends facts about it
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import onnxruntime

OPSET = 20
"""ONNX opset of 2023: new enough for every operator used here, old enough for the runtimes in use."""
TOLERANCE = 1e-4
INPUT = "pictures"
OUTPUTS = ("logits", "probabilities", "class_maps")


class _Fixed(nn.Module):
    """Returns a fixed tensor, in place of a module without input."""

    value: Tensor

    def __init__(self, value: Tensor):
        super().__init__()
        self.register_buffer("value", value)

    def forward(self) -> Tensor:
        return self.value


class _Exported(nn.Module):
    """uint8 pictures [B, 1, S, S] -> logits [B, C], probabilities [B, C], class maps [B, C, h, w]."""

    def __init__(self, classifier: Classifier):
        super().__init__()
        self.classifier = classifier

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        logits, maps = self.classifier(pictures)
        return logits, logits.sigmoid(), maps


def export_onnx(folder: Path, out: Path) -> float:
    """Write a saved classifier as ONNX, and compare the file's outputs in onnxruntime with those of torch.

    Input `pictures`: uint8 [batch, 1, S, S], images after the model's preparation. Outputs: `logits` and
    `probabilities` [batch, C], `class_maps` [batch, C, h, w]. Metadata, each a JSON text: `findings`, `groups`,
    `thresholds` (by finding), `preparation`, `image_size`.

    Returns:
        The largest difference in logits, probabilities and class maps on random pictures.

    Raises:
        InputError: the folder does not hold a saved classifier, the file cannot be written, or the difference is above
            TOLERANCE.
    """
    check_output(out, "--out", {"--model": folder})
    model = TRCGLNet.from_pretrained(folder, device="cpu")
    exported = _Exported(_without_graph(model.classifier)).eval()
    example = random_pictures(2, model.size)
    with warnings.catch_warnings():
        # Warnings about deprecated names come from torch's own code
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(
            exported, (example,), dynamo=True, opset_version=OPSET, input_names=[INPUT], output_names=list(OUTPUTS),
            dynamic_shapes={INPUT: {0: torch.export.Dim("batch")}}, verbose=False,
        )  # fmt: skip
    assert program is not None
    proto = program.model_proto
    _forget_origin(proto)
    onnx.helper.set_model_props(proto, {key: json.dumps(value) for key, value in metadata(model).items()})
    onnx.checker.check_model(proto)
    try:
        with written_beside(out) as beside:
            onnx.save(proto, beside)
            difference = _difference(beside, exported, model.size)
            # Written so that outputs that are not numbers do not count as equal
            if not difference <= TOLERANCE:
                raise InputError(
                    f"{folder}: the exported model differs from it by {difference:.1e}, more than {TOLERANCE:.0e}; "
                    f"{out} was not written"
                )
    except OSError as error:
        raise InputError(f"{out}: cannot be written ({error.strerror}); give a file name for --out") from None
    return difference


def metadata(model: TRCGLNet) -> dict[str, Any]:
    """The information that a program needs in addition to the tensors."""
    return {
        "findings": model.findings,
        "groups": model.classifier.config.class_groups,
        "thresholds": model.classifier.thresholds,
        "preparation": dataclasses.asdict(model.preparation),
        "image_size": model.size,
    }


def random_pictures(count: int, size: int) -> Tensor:
    """uint8 [count, 1, size, size], the same each time."""
    return torch.from_numpy(rng("onnx", count, size).integers(0, 256, (count, 1, size, size), np.uint8))


def _without_graph(classifier: Classifier) -> Classifier:
    """A copy in which the label graph's class vectors are constants: after training they depend on no input."""
    classifier = copy.deepcopy(classifier)
    graphs = [(name, module) for name, module in classifier.named_modules() if isinstance(module, ClassVectors)]
    for name, graph in graphs:
        with torch.no_grad():
            classifier.set_submodule(name, _Fixed(graph()))
    return classifier


def _forget_origin(proto: onnx.ModelProto) -> None:
    """Remove torch's notes about the source code of each part, because they contain folder names of this machine."""
    graph = proto.graph
    for part in (graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")


def _difference(path: Path, exported: nn.Module, size: int) -> float:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    # Another batch size than in the export, to detect a batch size that was fixed there
    pictures = random_pictures(3, size)
    with torch.inference_mode():
        expected = exported(pictures)
    found = session.run(list(OUTPUTS), {INPUT: pictures.numpy()})
    return max(float(np.abs(a - b.numpy()).max()) for a, b in zip(found, expected, strict=True))
