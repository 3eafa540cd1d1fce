"""Two fresh clones of the last commit come to the same bits: `python -m tests.two_clones`; some minutes.

Each has a DVC cache of its own, so that nothing but the code, the parameters (the tests' tiny ones) and the machine is
shared. Exit code 1, and a line an out, where the hashes in dvc.lock differ.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.faults.pipeline import differences, run_quietly
from tests.import_graph import ROOT
from tests.tiny_project import TINY, run, set_params


def fresh_clone(folder: Path, values: dict[str, Any]) -> Path:
    """What git has, with other parameters and an empty cache."""
    run(folder.parent, "git", "clone", "--quiet", str(ROOT), folder.name)
    set_params(folder / "params.yaml", values)
    # Whatever cache the user's own settings name: a result found there would prove nothing
    (folder / ".dvc/config.local").write_text("[cache]\n    dir = cache\n")
    return folder


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        one, other = (fresh_clone(Path(name) / clone, TINY) for clone in ("one", "the-other"))
        first, second = run_quietly(one), run_quietly(other)
        different = differences(first, other)
    assert list(first.seconds) == list(second.seconds), "both run every stage"
    for path in different:
        print(f"{path}: other bits in each clone")
    same = len(first.hashes) - len(different)
    print(f"{same} of {len(first.hashes)} outs of {len(first.seconds)} stages are the same in two clones")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
