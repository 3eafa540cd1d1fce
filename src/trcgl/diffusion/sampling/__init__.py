"""Drawing new images of tail findings: how many, with which labels and seeds, and their files."""
