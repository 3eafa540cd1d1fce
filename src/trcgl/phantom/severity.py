"""How strongly a finding is rendered."""


def between(low: float, high: float, severity: float) -> float:
    """Interpolate from `low` to `high` on a logarithmic scale, so that most lesions are faint and few are obvious."""
    return low * (high / low) ** severity
