"""Chest phantoms: a PadChest-shaped data set drawn from an attenuation model, small enough to make on the spot."""

from trcgl.images.phantom.catalogue import FINDINGS, Finding
from trcgl.images.phantom.dataset import RENDERER_VERSION, make_phantom
from trcgl.images.phantom.render import View, render

__all__ = ["FINDINGS", "RENDERER_VERSION", "Finding", "View", "make_phantom", "render"]
