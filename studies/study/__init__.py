"""What the studies share: arms, the runs they read, the pipeline's stages run elsewhere, numbers and a figure."""
