"""The pipeline's stages on one screen (`make dag`): `dvc dag` without redundant arrows.

    python -m trcgl.setup.stage_graph

A stage that evaluates depends on nearly all stages before it, so the full graph is several screens wide. An arrow that
is implied by a longer path is left out (transitive reduction); the order of the stages is the same without it.
"""

import networkx as nx
from dvc.dagascii import draw
from dvc.repo import Repo


def stages_and_arrows(folder: str = ".") -> tuple[list[str], list[tuple[str, str]]]:
    """Names of the stages, and pairs of a stage and another that it needs.

    Args:
        folder: the folder of a DVC project, or one below it.
    """
    with Repo(folder) as repo:
        graph = repo.index.graph
        needs = nx.relabel_nodes(graph, {stage: stage.addressing.rpartition(":")[2] for stage in graph})
    reduced = nx.transitive_reduction(needs)
    return list(reduced.nodes), list(reduced.edges)


if __name__ == "__main__":
    print(draw(*stages_and_arrows()))
