"""The pipeline's stages on one screen (`make dag`): `dvc dag` without the arrows that follow from others.

    python -m trcgl.setup.stage_graph

A stage that evaluates depends on nearly all that were before it, so that all arrows together are several screens wide.
What runs before what is the same without those that a longer way implies (the transitive reduction).
"""

import networkx as nx
from dvc.dagascii import draw
from dvc.repo import Repo


def stages_and_arrows(folder: str = ".") -> tuple[list[str], list[tuple[str, str]]]:
    """Names of the stages, and pairs of a stage and one that it needs.

    Args:
        folder: of a DVC project, or below it.
    """
    with Repo(folder) as repo:
        graph = repo.index.graph
        needs = nx.relabel_nodes(graph, {stage: stage.addressing.rpartition(":")[2] for stage in graph})
    reduced = nx.transitive_reduction(needs)
    return list(reduced.nodes), list(reduced.edges)


if __name__ == "__main__":
    print(draw(*stages_and_arrows()))
