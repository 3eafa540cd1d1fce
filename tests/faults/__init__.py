"""Harnesses that disturb the pipeline on purpose: kills, signals, full disks, damaged files."""
