"""What the runs of a study come to: metrics, paired differences, a table and a figure. No run depends on it."""
