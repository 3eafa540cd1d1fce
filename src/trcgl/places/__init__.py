"""Boxes of findings: matched with images, brought to their scale, and drawn into the square that a network reads."""
