"""TRCGL-Net: rare findings in chest X-rays, generated and classified.

from trcgl import TRCGLNet, load_generator
model = TRCGLNet.from_pretrained("data/models/classifier")
table = model.predict(["a.png", "b.dcm"])
generator = load_generator("data/models/diffusion")
"""

import importlib
import os
from typing import Any

PUBLIC = {"TRCGLNet": "trcgl.inference.pretrained", "load_generator": "trcgl.diffusion.generator.saved"}


# Before torch is loaded, whose OpenMP runtime reads it then. At every barrier the threads that are done first wait by
# computing, by default for some milliseconds: beside other programs they keep the core from whom they wait for. This
# many rounds, some 40 microseconds, keep most of an idle machine's rate; none at all lose a third of it
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "4000")


def __getattr__(name: str) -> Any:
    """A public name, imported when first asked for: every stage imports this package, and most need no torch.

    By name, so that its modules are no dependency of all stages; `__init__.pyi` tells type checkers what it is.
    """
    if name in PUBLIC:
        return getattr(importlib.import_module(PUBLIC[name]), name)
    raise AttributeError(f"module 'trcgl' has no attribute '{name}'")
