"""Which findings come together: counts from real training labels, and the matrices a graph network reads."""
