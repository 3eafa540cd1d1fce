"""From files of any common kind to memory-mapped shards of small grey images."""
