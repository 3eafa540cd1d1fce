"""A saved classifier at work: files in, probabilities, pictures or an ONNX file out."""
