"""Turns predictions into metrics with intervals, and into figures."""
