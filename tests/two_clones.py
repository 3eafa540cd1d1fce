"""Two fresh clones of the last commit must give the same bits: `python -m tests.two_clones`; takes some minutes.

Each has a DVC cache of its own, so that nothing but the code, the parameters (the tests' tiny ones) and the machine is
shared. Exit code 1 and one line per out if hashes in dvc.lock differ.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.faults.pipeline import differences, run_quietly
from tests.import_graph import ROOT
from tests.tiny_project import TINY, run, set_params


def fresh_clone(folder: Path, values: dict[str, Any]) -> Path:
    """A clone with other parameters and an empty cache."""
    run(folder.parent, "git", "clone", "--quiet", str(ROOT), folder.name)
    set_params(folder / "params.yaml", values)
    # Not the cache of the user's own settings: a result found there would prove nothing
    (folder / ".dvc/config.local").write_text("[cache]\n    dir = cache\n")
    return folder


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        one, other = (fresh_clone(Path(name) / clone, TINY) for clone in ("one", "the-other"))
        first, second = run_quietly(one), run_quietly(other)
        different = differences(first, other)
    assert list(first.seconds) == list(second.seconds), "both run every stage"
    for path in different:
        print(f"{path}: differs between the clones")
    same = len(first.hashes) - len(different)
    print(f"{same} of {len(first.hashes)} outs of {len(first.seconds)} stages are the same in two clones")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
