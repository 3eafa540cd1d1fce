"""From predictions to numbers with intervals, and to pictures."""
