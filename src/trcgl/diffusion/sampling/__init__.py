"""Generating new images of tail findings: how many, with which labels and seeds, and the files they are stored in."""
