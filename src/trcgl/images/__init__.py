"""Convert image files of the common formats to memory-mapped shards of small grey images."""
