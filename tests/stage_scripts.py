"""Stage scripts without a process each, which would spend seconds on imports."""

import importlib.util
from functools import cache
from types import ModuleType

from tests.import_graph import ROOT


@cache
def script(stage: str) -> ModuleType:
    """A stage script, imported once; its `main` works in the current folder."""
    spec = importlib.util.spec_from_file_location(f"stage_{stage}", ROOT / "stages" / f"{stage}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
