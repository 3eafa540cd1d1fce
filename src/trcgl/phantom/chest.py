"""The attenuation of a normal frontal chest: body, lungs, heart, vessels, bones and abdomen."""

from dataclasses import dataclass

import cv2
import numpy as np

from trcgl.phantom.anatomy import LEFT, RIGHT, Anatomy
from trcgl.phantom.canvas import Canvas, Layer, Map, curve, moved, ring

_STEPS = np.linspace(0, 1, 5)


@dataclass
class Parts:
    """Coverage (0 to 1, size x size) of the structures that the functions for lesions use."""

    lungs: dict[int, Map]
    heart: Map
    aorta: Map
    body: Map

    @property
    def both_lungs(self) -> Map:
        return self.lungs[LEFT] + self.lungs[RIGHT]


def draw_chest(canvas: Canvas, anatomy: Anatomy, rng: np.random.Generator) -> Parts:
    body = _body(canvas, anatomy)
    lungs = _lungs(canvas, anatomy)
    heart, aorta = _mediastinum(canvas, anatomy, rng)
    _abdomen(canvas, anatomy, rng)
    _bones(canvas, anatomy, rng)
    _soft_parts(canvas, anatomy, rng)
    parts = Parts(lungs, heart, aorta, body)
    _vessels(canvas, anatomy, parts, rng)
    return parts


def _body(canvas: Canvas, anatomy: Anatomy) -> Map:
    """Trunk, shoulders and neck; thickness falls towards the flanks."""
    wide = anatomy.half_width + 0.05 + 0.035 * anatomy.girth
    top = anatomy.apex
    right = [
        (-0.085, -0.5), (-0.09, top - 0.08), (-0.16, top - 0.03), (-wide - 0.02, top + 0.035),
        (-wide - 0.12, top + 0.10), (-wide - 0.12, top + 0.26), (-wide - 0.012, top + 0.33),
        (-wide, 0.62), (-wide - 0.005, 0.9), (-wide, 1.5),
    ]  # fmt: skip
    half = curve(right, 40)
    layer = canvas.layer()
    canvas.fill(layer, np.vstack([half, (half * (-1, 1))[::-1]]))
    coverage = canvas.coverage(layer, 0.006)
    across = np.clip(1 - np.square(canvas.x / np.float32(wide + 0.17)), 0.05, 1)
    canvas.attenuation += coverage * np.sqrt(across) * np.float32(3.1 * anatomy.girth)
    return coverage


def _lungs(canvas: Canvas, anatomy: Anatomy) -> dict[int, Map]:
    lungs = {}
    for side in (RIGHT, LEFT):
        layer = canvas.layer()
        canvas.fill(layer, anatomy.lung(side))
        coverage = canvas.coverage(layer)
        # Depth of air along the beam: zero at the rim, rising steeply, small at the apex
        depth = np.sqrt(np.clip(2.1 * canvas.smooth(coverage, 0.035) - 0.95, 0.08, 1.0)) * coverage
        apical = np.clip((canvas.y - np.float32(anatomy.apex)) * np.float32(4.0), 0.0, 0.55) + 0.45
        turn = 1 + 0.07 * side * anatomy.yaw
        amount = (1.35 + 0.45 * anatomy.girth) * anatomy.lucency * turn
        canvas.attenuation -= np.float32(amount) * canvas.smooth(depth * apical, 0.003)
        lungs[side] = coverage
    return lungs


def _mediastinum(canvas: Canvas, anatomy: Anatomy, rng: np.random.Generator) -> tuple[Map, Map]:
    width = anatomy.heart_width
    cx, cy = anatomy.heart_centre()
    apex_side, front, spine = anatomy.apex_side(), anatomy.front, anatomy.spine_x
    # The heart: an ellipse leaning to its apex, the right atrium, and the vascular pedicle above
    layer = canvas.layer()
    turn = np.linspace(0, 2 * np.pi, 48)
    outline = np.stack([0.5 * np.cos(turn), 0.41 * np.sin(turn) * (1 + 0.12 * np.cos(turn))], 1) * width
    tilt = anatomy.heart_tilt
    outline = outline @ np.array([[np.cos(tilt), np.sin(tilt)], [-np.sin(tilt), np.cos(tilt)]])
    outline[:, 0] *= 0.5 * width / np.abs(outline[:, 0]).max()
    canvas.fill(layer, moved(outline * (apex_side, 1), cx, cy))
    canvas.fill(layer, ring(cx - apex_side * 0.27 * width, cy - 0.05 * width, 0.22 * width, 0.32 * width))
    heart = canvas.coverage(layer, 0.0045)
    thick = canvas.ellipsoid(cx, cy, 0.62 * width, 0.5 * width, 0.0)
    # The heart displaces lung; below the dome there is no lung to displace
    floor = np.float32(0.5 * (anatomy.dome[LEFT] + anatomy.dome[RIGHT]) + 0.01)
    displaced = np.clip((floor - canvas.y) * np.float32(22), 0.12, 1)
    canvas.attenuation += heart * (0.6 + 0.65 * thick) * displaced * np.float32(rng.uniform(0.85, 1.1))

    pedicle = canvas.layer()
    half = 0.054 + 0.012 * (anatomy.girth - 1) + (0.012 if anatomy.supine else 0.0)
    side = curve([(half - 0.012, anatomy.apex - 0.02), (half, 0.27), (half + 0.012, 0.4), (half + 0.035, 0.52)], 14)
    canvas.fill(pedicle, moved(np.vstack([side, (side * (-1, 1))[::-1]]), front, 0))
    canvas.add(pedicle, 0.55, 0.006)

    aorta_layer = canvas.layer()
    arch = anatomy.arch_side
    knob_y = 0.295 - 0.7 * (anatomy.knob - 0.038)
    knob_x = arch * (0.048 + 0.5 * (anatomy.knob - 0.03)) + 0.6 * front
    canvas.fill(aorta_layer, ring(knob_x, knob_y, anatomy.knob, 1.1 * anatomy.knob))
    y = np.linspace(knob_y, 0.86, 12)
    bow = anatomy.aorta_bulge * np.sin(np.clip((y - knob_y) / 0.4, 0, 1) * np.pi)
    middle = spine(y) + arch * (0.045 + bow - 0.03 * np.clip((y - 0.5) / 0.3, 0, 1))
    canvas.line(aorta_layer, np.stack([middle, y], 1), 0.042 + 0.3 * (anatomy.knob - 0.036))
    aorta = canvas.add(aorta_layer, 0.42, 0.004)

    # Air in trachea and main bronchi
    airway = canvas.layer()
    shift = 0.5 * front - arch * 0.3 * (anatomy.knob - 0.036)
    carina = 0.375
    canvas.line(airway, curve([(0.0, -0.3), (0.0, 0.1), (shift, 0.25), (shift - arch * 0.004, carina)], 12), 0.030)
    canvas.line(airway, [(shift, carina - 0.01), (shift - 0.075, carina + 0.05)], 0.02, 0.75)
    canvas.line(airway, [(shift, carina - 0.01), (shift + 0.09, carina + 0.065)], 0.018, 0.75)
    canvas.add(airway, -0.45, 0.0045)
    return heart, aorta


def _abdomen(canvas: Canvas, anatomy: Anatomy, rng: np.random.Generator) -> None:
    """Liver, gas in the stomach and some bowel."""
    liver = -anatomy.stomach_side
    below = np.clip((canvas.y - np.float32(anatomy.dome[liver])) * np.float32(5), 0, 1)
    canvas.attenuation += 0.30 * below
    stomach = anatomy.stomach_side
    if anatomy.stomach_gas:
        size = rng.uniform(0.015, 0.06)
        x = stomach * rng.uniform(0.11, 0.22)
        y = anatomy.dome[stomach] + 0.02 + size * rng.uniform(0.55, 1.3)
        bubble = canvas.ellipsoid(x, y, size * rng.uniform(1.0, 1.7), size, rng.uniform(-0.3, 0.3))
        if not anatomy.supine:
            # In an upright patient the gas lies above a fluid level
            bubble = bubble * (canvas.y < np.float32(y + size * rng.uniform(0.1, 0.9)))
        canvas.attenuation -= np.float32(rng.uniform(0.35, 1.1)) * canvas.smooth(bubble, 0.003)
    for _ in range(rng.poisson(2.2)):
        x, y = rng.uniform(-0.3, 0.3), rng.uniform(0.84, 1.0)
        gas = canvas.ellipsoid(x, y, rng.uniform(0.02, 0.06), rng.uniform(0.015, 0.035), rng.uniform(-1, 1))
        canvas.attenuation -= np.float32(rng.uniform(0.1, 0.5)) * gas


def _bones(canvas: Canvas, anatomy: Anatomy, rng: np.random.Generator) -> None:
    outer, marrow = canvas.layer(), canvas.layer()
    width = 0.027
    ribs = np.arange(10)
    roots_y = anatomy.apex - 0.005 + anatomy.rib_gap * ribs * 1.02
    walls_y = roots_y + anatomy.rib_slope * (0.45 + 0.075 * ribs) + 0.035
    roots_x, walls_x = anatomy.spine_x(roots_y), anatomy.wall(walls_y) + 0.008
    for side in (RIGHT, LEFT):
        for k, root_x, root_y, wall_x, wall_y in zip(ribs, roots_x, roots_y, walls_x, walls_y, strict=True):
            root_x, edge = root_x + side * 0.028, side * wall_x
            path = curve(
                [
                    (root_x, root_y),
                    (0.45 * edge + 0.55 * root_x, root_y - 0.012 + 0.004 * k),
                    (0.82 * edge, 0.45 * root_y + 0.55 * wall_y),
                    (edge, wall_y + 0.012),
                ],
                14,
            )
            canvas.line(outer, path, width, 0.8)
            canvas.line(marrow, path, width * 0.5)
            if k < 7:
                end_y = wall_y + 0.10 + 0.022 * k
                front = curve(
                    [
                        (edge, wall_y + 0.012),
                        (0.86 * edge, 0.55 * wall_y + 0.45 * end_y),
                        (side * (0.09 + 0.014 * k) + anatomy.front, end_y),
                    ],
                    10,
                )
                canvas.line(outer, front, width * 1.1, 0.5)
    rib = canvas.coverage(outer, 0.0025) - 0.38 * canvas.coverage(marrow, 0.0025)
    canvas.attenuation += np.float32(0.30 * anatomy.rib_gain) * rib

    shoulder = canvas.layer()
    for side in (RIGHT, LEFT):
        inner = (side * 0.028 + 1.3 * anatomy.front, anatomy.apex + 0.075 + rng.normal(0, 0.008))
        lift = rng.uniform(-0.03, 0.03) - (0.03 if anatomy.supine else 0)
        outer_y = inner[1] - 0.045 + lift
        path = curve([inner, (side * 0.13, inner[1] - 0.022), (side * 0.26, outer_y), (side * 0.40, outer_y)], 16)
        canvas.line(shoulder, path, 0.026, 0.9)
        # The scapula lies over the lung when the arms are down
        inset = rng.uniform(0.0, 0.075) if anatomy.supine else rng.uniform(-0.06, 0.02)
        x = anatomy.half_width - inset
        y = anatomy.apex + 0.08
        tip = [(x + 0.025, y + 0.26), (x + 0.07, y + 0.25)]
        blade = curve([(x, y), (x - 0.02, y + 0.12), *tip, (x + 0.13, y + 0.02)], 18)
        canvas.fill(shoulder, blade * (side, 1), 0.32)
        canvas.line(shoulder, blade[:12] * (side, 1), 0.005, 0.5)
        canvas.fill(shoulder, ring(side * (anatomy.half_width + 0.115), y - 0.005, 0.055, 0.055, 20), 0.85)
    canvas.add(shoulder, 0.38 * (0.6 + 0.4 * anatomy.rib_gain), 0.003)

    column = canvas.layer()
    top = 0.02 + 0.067 * np.arange(-2, 16)
    upper, lower = anatomy.spine_x(top + 0.004), anatomy.spine_x(top + 0.060)
    for y, x0, x1 in zip(top, upper, lower, strict=True):
        for half, inset, level in ((0.034, 0.004, 0.8), (0.026, 0.010, 0.45)):
            y0, y1 = y + inset, y + 0.064 - inset
            canvas.fill(column, [(x0 - half, y0), (x0 + half, y0), (x1 + half, y1), (x1 - half, y1)], level)
        # Each vertebra shows two pedicles, like eyes, and the spinous process between them
        for offset, y0, y1 in ((-0.018, 0.016, 0.026), (0.018, 0.016, 0.026), (-0.006 * anatomy.yaw, 0.036, 0.054)):
            x = x0 + offset - 0.006 * anatomy.yaw
            canvas.line(column, [(x, y + y0), (x, y + y1)], 0.007)
    canvas.add(column, 0.42 * (0.5 + 0.5 * anatomy.rib_gain), 0.003)


def _soft_parts(canvas: Canvas, anatomy: Anatomy, rng: np.random.Generator) -> None:
    """Breasts or pectoral muscles, which are never quite symmetric."""
    for side in (RIGHT, LEFT):
        gain = anatomy.breast * rng.uniform(0.85, 1.15)
        x = side * rng.uniform(0.17, 0.22)
        y = rng.uniform(0.56, 0.63) + (0.03 if anatomy.age > 60 else 0.0)
        if gain > 0.2:
            scale = 0.09 + 0.035 * gain
            breast = canvas.ellipsoid(x, y, 1.15 * scale, scale, side * 0.35, 0.35)
            canvas.attenuation += np.float32(min(0.34 * gain, 0.55)) * breast
        muscle = canvas.ellipsoid(side * 0.22, 0.30, 0.17, 0.13, -side * 0.6)
        canvas.attenuation += np.float32(rng.uniform(0.05, 0.16)) * muscle


def _vessels(canvas: Canvas, anatomy: Anatomy, parts: Parts, rng: np.random.Generator) -> None:
    layer = canvas.layer()
    for side in (RIGHT, LEFT):
        root = np.array([side * 0.083 + 0.7 * anatomy.front, 0.42 if side == RIGHT else 0.405])
        fan = np.deg2rad(np.array([-78, -55, -32, -8, 18, 42, 62, 80])) + rng.normal(0, 0.10, 8)
        for angle in fan:
            low = angle > 0
            # In an upright patient the lower vessels carry more blood
            wide = (0.0135 if low or anatomy.supine else 0.0095) * rng.uniform(0.8, 1.25)
            _branch(canvas, layer, rng, root, float(angle), side, wide, rng.uniform(0.2, 0.33), 2)
    hila = canvas.layer()
    for side in (RIGHT, LEFT):
        y = 0.43 if side == RIGHT else 0.405
        swell = rng.uniform(0.85, 1.2)
        path = curve([(0.06, y - 0.03), (0.092, y), (0.098, y + 0.055), (0.082, y + 0.11)], 10) * (side, 1)
        canvas.line(hila, moved(path, 0.7 * anatomy.front, 0), 0.03 * swell)
    lungs = canvas.smooth(parts.both_lungs, 0.004)
    canvas.vessels += np.float32(0.24 * anatomy.vessel_gain) * canvas.coverage(layer, 0.0022) * lungs
    canvas.attenuation += np.float32(0.26) * canvas.coverage(hila, 0.008)


def _branch(
    canvas: Canvas,
    layer: Layer,
    rng: np.random.Generator,
    start: np.ndarray,
    angle: float,
    side: int,
    width: float,
    length: float,
    depth: int,
) -> None:
    """One vessel and its children; `angle` 0 points to the wall, positive downwards."""
    headings = angle + rng.normal(0, 0.22) * _STEPS
    points = np.empty((5, 2))
    points[0] = start
    points[1:, 0] = start[0] + (side * length / 4) * np.cos(headings[:4]).cumsum()
    points[1:, 1] = start[1] + (length / 4) * np.sin(headings[:4]).cumsum()
    level = 0.35 + 0.65 * min(1.0, width / 0.0135)
    canvas.line(layer, points[:3], width, level)
    canvas.line(layer, points[2:], width * 0.72, level * 0.85)
    if depth:
        for share, turn in ((2, 0.45), (3, -0.42)):
            child = float(headings[share] + turn * rng.uniform(0.6, 1.4))
            _branch(canvas, layer, rng, points[share], child, side, width * 0.62, length * 0.6, depth - 1)


def hide_vessels(canvas: Canvas, where: Map) -> None:
    """Remove the lung vessels in proportion to `where` (1: completely)."""
    canvas.vessels *= 1 - where


def blend(canvas: Canvas) -> Map:
    """Attenuation including the vessels."""
    return cv2.add(canvas.attenuation, canvas.vessels)
