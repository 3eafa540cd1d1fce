"""Devices that are findings: feeding tube, pacemaker, sternal wires. Their functions work like those of the lesions."""

import cv2
import numpy as np

from trcgl.phantom.anatomy import LEFT, RIGHT, Anatomy
from trcgl.phantom.canvas import Canvas, Mask, curve, moved
from trcgl.phantom.chest import Parts
from trcgl.phantom.severity import between


def draw_tube(canvas: Canvas, anatomy: Anatomy, parts: Parts, rng: np.random.Generator, severity: float) -> Mask:
    layer = canvas.layer()
    y = np.array([-0.2, 0.15, 0.3, 0.5, 0.68])
    x = 0.6 * anatomy.spine_x(y) + rng.normal(0, 0.006, 5) + np.array([0, 0, 0.002, 0.008, 0.015])
    reach = rng.uniform(0.3, 1.0)
    stomach = [
        (anatomy.stomach_side * 0.05, anatomy.dome[LEFT] + 0.07),
        (anatomy.stomach_side * (0.05 + 0.12 * reach), anatomy.dome[LEFT] + 0.06 + 0.08 * reach),
    ]
    path = curve(np.vstack([np.stack([x, y], 1), stomach]), 40)
    if rng.random() < 0.12:
        # Too short: ends in the oesophagus
        path = path[: int(rng.integers(20, 30))]
    canvas.line(layer, path, 0.009)
    canvas.add(layer, between(0.6, 1.6, severity), 0.001)
    return cv2.dilate(layer, np.ones((3, 3), np.uint8)) > 127


def draw_pacemaker(canvas: Canvas, anatomy: Anatomy, parts: Parts, rng: np.random.Generator, severity: float) -> Mask:
    layer = canvas.layer()
    side = LEFT if rng.random() < 0.85 else RIGHT
    cx, cy = anatomy.heart_centre()
    box = np.zeros_like(canvas.attenuation)
    x, y = side * rng.uniform(0.18, 0.29), anatomy.apex + rng.uniform(0.09, 0.2)
    if rng.random() < 0.88:
        # The other patients have the generator in the abdomen, or only the leads are left
        box = canvas.ellipsoid(x, y, rng.uniform(0.034, 0.054), rng.uniform(0.029, 0.044), rng.uniform(-0.8, 0.8), 0.15)
        canvas.attenuation += np.float32(between(0.9, 3.0, severity)) * box
    apex = (cx + anatomy.apex_side() * 0.2 * anatomy.heart_width, cy + 0.12 * anatomy.heart_width)
    ends = [apex] if rng.random() < 0.5 else [apex, (anatomy.front - 0.045, cy - 0.03)]
    for end in ends:
        mid = (anatomy.front - 0.045 + rng.normal(0, 0.006), rng.uniform(0.36, 0.46))
        vein = [(side * 0.1, anatomy.apex + 0.1), (anatomy.front - 0.03, 0.27)]
        canvas.line(layer, curve([(x, y), *vein, mid, end], 24), 0.0065)
    canvas.add(layer, between(0.5, 1.3, severity), 0.001)
    return (cv2.dilate(layer, np.ones((3, 3), np.uint8)) > 127) | (box > 0.3)


def draw_wires(canvas: Canvas, anatomy: Anatomy, parts: Parts, rng: np.random.Generator, severity: float) -> Mask:
    layer = canvas.layer()
    gap = rng.uniform(0.045, 0.07)
    top = rng.uniform(0.20, 0.27)
    turn = np.linspace(0.3, 6.0, 12)
    for k in range(rng.integers(3, 7)):
        x = anatomy.front * 1.4 + rng.normal(0, 0.006)
        loop = np.stack([0.018 * np.cos(turn), 0.012 * np.sin(turn)], 1)
        canvas.line(layer, moved(loop, x, top + gap * k + rng.normal(0, 0.004)), 0.006)
    canvas.add(layer, between(1.5, 3.5, severity), 0.0008)
    return cv2.dilate(layer, np.ones((5, 5), np.uint8)) > 127
