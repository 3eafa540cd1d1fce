"""Bounding boxes of findings: matched with images, scaled, and rasterised into the square that a network reads.

A "place" is a mask in this square: it says where a finding is in an image.
"""
