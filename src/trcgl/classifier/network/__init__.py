"""The classifier as a network: backbone, heads, scaling of logits, probabilities and class maps."""
