"""A lateral view. It is crude on purpose, because it only gives the projection filter something to reject."""

import numpy as np

from trcgl.phantom.canvas import Canvas, curve


def draw(canvas: Canvas, rng: np.random.Generator) -> None:
    """Draw the trunk from the side, facing left: sternum in front, spine behind, heart on the diaphragm."""
    body = canvas.layer()
    front = curve([(-0.12, -0.5), (-0.16, 0.05), (-0.36, 0.25), (-0.40, 0.6), (-0.38, 1.5)], 24)
    back = curve([(0.14, -0.5), (0.2, 0.05), (0.38, 0.25), (0.39, 0.6), (0.34, 1.5)], 24)
    canvas.fill(body, np.vstack([front, back[::-1]]))
    canvas.add(body, 3.6 * rng.uniform(0.85, 1.15), 0.008)
    lung = canvas.layer()
    dome = rng.uniform(0.68, 0.76)
    outline = curve([(-0.03, 0.12), (-0.26, 0.3), (-0.31, 0.55), (-0.27, dome), (0.0, dome - 0.04), (0.24, dome + 0.12),
                     (0.31, dome + 0.1), (0.30, 0.35), (0.12, 0.13), (-0.03, 0.12)], 60)  # fmt: skip
    canvas.fill(lung, outline)
    canvas.add(lung, -1.8, 0.012)
    heart = canvas.ellipsoid(-0.12 + rng.normal(0, 0.01), dome - 0.14, 0.15, 0.17, -0.5)
    canvas.attenuation += np.float32(1.1) * heart
    bones = canvas.layer()
    for k in range(14):
        y = 0.02 + 0.07 * k
        x = 0.24 + 0.05 * np.sin(np.pi * y)
        canvas.fill(bones, [(x - 0.04, y), (x + 0.03, y), (x + 0.03, y + 0.055), (x - 0.04, y + 0.055)], 0.8)
        rib = curve([(0.33, y), (0.05, y + 0.1), (-0.28, y + 0.22)], 10)
        canvas.line(bones, rib, 0.016, 0.35)
    canvas.add(bones, 0.5, 0.004)
