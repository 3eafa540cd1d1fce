"""How strong a finding is drawn."""


def between(low: float, high: float, severity: float) -> float:
    """From `low` to `high` on a logarithmic scale: most lesions are faint, few are obvious."""
    return low * (high / low) ** severity
