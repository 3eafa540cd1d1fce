"""Stage two: a backbone, heads that read its last map, losses for long tails, and one trainer for all of them."""
