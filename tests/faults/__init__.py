"""Harnesses that disturb the project on purpose: kills, signals, full disks, damaged files."""
