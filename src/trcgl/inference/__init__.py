"""Inference with a saved classifier: image files to probabilities and overlays, and the export to ONNX."""
