"""What changes the bits of a result: seeds, device and precision, processes that train together, gradients."""
