"""Which findings co-occur: counts from real training labels, and the adjacency matrices of the label graph."""
