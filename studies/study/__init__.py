"""What the runs of the studies share: parameters, arms, what they read, the pipeline's stages run elsewhere."""
