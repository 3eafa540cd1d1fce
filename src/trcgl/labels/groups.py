"""Head, medium and tail: groups of findings by their prevalence among training images.

The cut-offs of the CXR-LT challenges are head above 10 % and tail below 1 % (https://arxiv.org/abs/2310.16112).
"""

from collections.abc import Collection

GROUPS = ("head", "medium", "tail")


def group_of(
    finding: str, prevalence: float, *, head_above: float, tail_below: float, tail_findings: Collection[str] | None
) -> str:
    """'head', 'medium' or 'tail'.

    A list of tail findings overrides the lower cut-off: exactly these findings are the tail. Any other finding is head
    above `head_above` and medium otherwise, even if it is rare.
    """
    in_tail = prevalence < tail_below if tail_findings is None else finding in tail_findings
    if in_tail:
        return "tail"
    return "head" if prevalence > head_above else "medium"
