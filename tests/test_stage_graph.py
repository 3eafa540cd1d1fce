"""The picture of the stages: it fits a screen, and says of any two stages which is first, as DVC does."""

import re
import subprocess
import sys
from pathlib import Path

import networkx as nx
import pytest

from tests.import_graph import ROOT
from trcgl.setup.stage_graph import stages_and_arrows


def test_what_needs_what_is_as_dvc_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    written = subprocess.run(["dvc", "dag", "--dot"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    every = nx.DiGraph(re.findall(r'"(\S+)" -> "(\S+)"', written))
    monkeypatch.chdir(tmp_path)
    stages, arrows = stages_and_arrows(str(ROOT))
    shown = nx.DiGraph(arrows)
    assert set(stages) == set(every.nodes)
    assert len(shown.edges) < len(every.edges) / 2
    assert set(nx.transitive_closure(shown.reverse()).edges) == set(nx.transitive_closure(every).edges)


def test_it_fits_a_screen():
    command = [sys.executable, "-m", "trcgl.setup.stage_graph"]
    lines = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(lines) <= 60
    assert max(map(len, lines)) <= 120
    assert "| make_phantom |" in lines[1]
