"""Chest phantoms: a data set in PadChest's format, rendered from an attenuation model at the start of a run."""

from trcgl.phantom.catalogue import FINDINGS, Finding
from trcgl.phantom.dataset import RENDERER_VERSION, make_phantom
from trcgl.phantom.render import View, render

__all__ = ["FINDINGS", "RENDERER_VERSION", "Finding", "View", "make_phantom", "render"]
