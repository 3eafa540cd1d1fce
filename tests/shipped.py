"""The shipped parameters: tests lay their own values over these, so that a new knob needs no line in a test."""

from tests.import_graph import ROOT
from trcgl.config import load_params

SHIPPED = load_params(ROOT / "params.yaml")
