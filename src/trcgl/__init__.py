"""TRCGL-Net: rare findings in chest X-rays, generated and classified.

from trcgl import TRCGLNet, load_generator
model = TRCGLNet.from_pretrained("data/models/classifier")
table = model.predict(["a.png", "b.dcm"])
generator = load_generator("data/models/diffusion")
"""

import importlib
from typing import Any

PUBLIC = {"TRCGLNet": "trcgl.inference.pretrained", "load_generator": "trcgl.diffusion.generator.saved"}


def __getattr__(name: str) -> Any:
    """A public name, imported when first asked for: every stage imports this package, and most need no torch.

    By name, so that its modules are no dependency of all stages; `__init__.pyi` tells type checkers what it is.
    """
    if name in PUBLIC:
        return getattr(importlib.import_module(PUBLIC[name]), name)
    raise AttributeError(f"module 'trcgl' has no attribute '{name}'")
