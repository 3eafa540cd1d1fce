"""TRCGL-Net: rare findings in chest X-rays, generated and classified.

from trcgl import TRCGLNet
model = TRCGLNet.from_pretrained("data/models/classifier")
table = model.predict(["a.png", "b.dcm"])
"""

import importlib
from typing import Any


def __getattr__(name: str) -> Any:
    """`TRCGLNet`, imported when first asked for: every stage imports this package, and most need no torch.

    By name, so that its modules are no dependency of all stages; `__init__.pyi` tells type checkers what it is.
    """
    if name == "TRCGLNet":
        return getattr(importlib.import_module("trcgl.inference.pretrained"), name)
    raise AttributeError(f"module 'trcgl' has no attribute '{name}'")
