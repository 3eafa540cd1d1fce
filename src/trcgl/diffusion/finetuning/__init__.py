"""Fine-tuning of a base generator on the rare findings: training loop, loss, and a check on validation images."""
