"""The normal frontal chest: body, lungs, heart, vessels, bones and abdomen as attenuation."""

from dataclasses import dataclass

import cv2
import numpy as np

from trcgl.images.phantom.anatomy import LEFT, RIGHT, Anatomy
from trcgl.images.phantom.canvas import Canvas, Layer, Map, curve


@dataclass
class Parts:
    """Coverage (0 to 1, size x size) of what lesions need to find."""

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
        (-0.085, -0.5), (-0.09, top - 0.08), (-0.16, top - 0.03), (-wide - 0.02, top + 0.035), (-wide - 0.12, top + 0.10),
        (-wide - 0.12, top + 0.26), (-wide - 0.012, top + 0.33), (-wide, 0.62), (-wide - 0.005, 0.9), (-wide, 1.5),
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
        # Depth of air along the beam: nothing at the rim, rising steeply, thin at the apex
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
    ring = np.stack([0.5 * width * np.cos(turn), 0.35 * width * np.sin(turn) * (1 + 0.12 * np.cos(turn))], 1)
    tilt = anatomy.heart_tilt
    ring = ring @ np.array([[np.cos(tilt), np.sin(tilt)], [-np.sin(tilt), np.cos(tilt)]])
    ring[:, 0] *= 0.5 * width / np.abs(ring[:, 0]).max()
    canvas.fill(layer, ring * (apex_side, 1) + (cx, cy))
    atrium = np.stack([0.22 * width * np.cos(turn), 0.27 * width * np.sin(turn)], 1)
    canvas.fill(layer, atrium + (cx - apex_side * 0.27 * width, cy - 0.02 * width))
    heart = canvas.coverage(layer, 0.0045)
    thick = canvas.ellipsoid(cx, cy, 0.62 * width, 0.5 * width, 0.0)
    canvas.attenuation += heart * (0.75 + 0.75 * thick) * np.float32(rng.uniform(0.85, 1.1))

    pedicle = canvas.layer()
    half = 0.05 + 0.012 * (anatomy.girth - 1) + (0.012 if anatomy.supine else 0.0)
    side = curve([(half - 0.012, anatomy.apex - 0.02), (half, 0.27), (half + 0.012, 0.4), (half + 0.02, 0.52)], 14)
    canvas.fill(pedicle, np.vstack([side + (front, 0), (side * (-1, 1))[::-1] + (front, 0)]))
    canvas.add(pedicle, 0.55, 0.006)

    aorta_layer = canvas.layer()
    arch = anatomy.arch_side
    knob_y = 0.295 - 0.7 * (anatomy.knob - 0.038)
    knob_x = arch * (0.048 + 0.5 * (anatomy.knob - 0.03)) + 0.6 * front
    ring = np.stack([anatomy.knob * np.cos(turn), 1.1 * anatomy.knob * np.sin(turn)], 1)
    canvas.fill(aorta_layer, ring + (knob_x, knob_y))
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
    if rng.random() < 0.75:
        size = rng.uniform(0.012, 0.06)
        x = stomach * rng.uniform(0.11, 0.22)
        y = anatomy.dome[stomach] + 0.02 + size * rng.uniform(0.55, 1.3)
        bubble = canvas.ellipsoid(x, y, size * rng.uniform(1.0, 1.7), size, rng.uniform(-0.3, 0.3))
        if not anatomy.supine:
            # Upright, the gas stands on a fluid level
            bubble = bubble * (canvas.y < np.float32(y + size * rng.uniform(0.1, 0.9)))
        canvas.attenuation -= np.float32(rng.uniform(0.35, 1.1)) * canvas.smooth(bubble, 0.003)
    for _ in range(rng.poisson(2.2)):
        x, y = rng.uniform(-0.3, 0.3), rng.uniform(0.84, 1.0)
        gas = canvas.ellipsoid(x, y, rng.uniform(0.02, 0.06), rng.uniform(0.015, 0.035), rng.uniform(-1, 1))
        canvas.attenuation -= np.float32(rng.uniform(0.1, 0.5)) * gas


def _bones(canvas: Canvas, anatomy: Anatomy, rng: np.random.Generator) -> None:
    outer, marrow = canvas.layer(), canvas.layer()
    width = 0.027
    for side in (RIGHT, LEFT):
        for k in range(10):
            root_y = anatomy.apex - 0.005 + anatomy.rib_gap * k * 1.02
            root_x = float(anatomy.spine_x(root_y)) + side * 0.028
            wall_y = root_y + anatomy.rib_slope * (0.45 + 0.075 * k) + 0.035
            edge = side * (float(anatomy.wall(wall_y)) + 0.008)
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
        path = curve(
            [inner, (side * 0.13, inner[1] - 0.022), (side * 0.26, inner[1] - 0.04 + lift), (side * 0.40, inner[1] - 0.05 + lift)],
            16,
        )  # fmt: skip
        canvas.line(shoulder, path, 0.026, 0.9)
        # The scapula lies over the lung when the arms are down
        inset = rng.uniform(0.0, 0.075) if anatomy.supine else rng.uniform(-0.06, 0.02)
        x = anatomy.half_width - inset
        y = anatomy.apex + 0.08
        blade = curve([(x, y), (x - 0.02, y + 0.12), (x + 0.025, y + 0.26), (x + 0.07, y + 0.25), (x + 0.13, y + 0.02)], 18)
        canvas.fill(shoulder, blade * (side, 1), 0.32)
        canvas.line(shoulder, blade[:12] * (side, 1), 0.005, 0.5)
        head = np.stack([0.055 * np.cos(np.linspace(0, 6.3, 20)), 0.055 * np.sin(np.linspace(0, 6.3, 20))], 1)
        canvas.fill(shoulder, head + (side * (anatomy.half_width + 0.115), y - 0.005), 0.85)
    canvas.add(shoulder, 0.36 * (0.6 + 0.4 * anatomy.rib_gain), 0.003)

    column = canvas.layer()
    y = np.linspace(-0.1, 1.1, 30)
    for k in range(-2, 16):
        top = 0.02 + 0.067 * k
        for sample, level, half in ((0.5, 0.8, 0.034), (0.5, 0.45, 0.028)):
            yy = np.array([top + 0.004, top + 0.060])
            x = anatomy.spine_x(yy)
            box = np.array([(x[0] - half, yy[0]), (x[0] + half, yy[0]), (x[1] + half, yy[1]), (x[1] - half, yy[1])])
            shrink = 1.0 if level == 0.8 else 0.82
            middle = box.mean(0)
            canvas.fill(column, (box - middle) * shrink + middle, level if sample else 0)
        for side in (RIGHT, LEFT):
            x = float(anatomy.spine_x(top + 0.02)) + side * 0.018 - 0.006 * anatomy.yaw
            canvas.line(column, [(x, top + 0.014), (x, top + 0.024)], 0.008, 1.0)
        x = float(anatomy.spine_x(top + 0.045)) - 0.010 * anatomy.yaw
        canvas.line(column, [(x, top + 0.035), (x, top + 0.055)], 0.006, 0.9)
    canvas.add(column, 0.42 * (0.5 + 0.5 * anatomy.rib_gain), 0.003)


def _soft_parts(canvas: Canvas, anatomy: Anatomy, rng: np.random.Generator) -> None:
    """Breasts or pectoral muscles, unequal as they are."""
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
            # Upright, the lower vessels carry more blood
            wide = (0.0135 if low or anatomy.supine else 0.0095) * rng.uniform(0.8, 1.25)
            _branch(canvas, layer, rng, root, float(angle), side, wide, rng.uniform(0.2, 0.33), 2)
    hila = canvas.layer()
    for side in (RIGHT, LEFT):
        y = 0.43 if side == RIGHT else 0.405
        swell = rng.uniform(0.85, 1.2)
        path = curve([(side * 0.06, y - 0.03), (side * 0.092, y), (side * 0.098, y + 0.055), (side * 0.082, y + 0.11)], 10)
        canvas.line(hila, path + (0.7 * anatomy.front, 0), 0.03 * swell)
    lungs = canvas.smooth(parts.both_lungs, 0.004)
    canvas.vessels += np.float32(0.34 * anatomy.vessel_gain) * canvas.coverage(layer, 0.0022) * lungs
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
    bend = rng.normal(0, 0.22)
    steps = np.linspace(0, 1, 5)
    headings = angle + bend * steps
    moves = np.stack([side * np.cos(headings), np.sin(headings)], 1) * (length / 4)
    points = start + np.vstack([[0, 0], np.cumsum(moves[:-1], 0)])
    level = 0.35 + 0.65 * min(1.0, width / 0.0135)
    canvas.line(layer, points[:3], width, level)
    canvas.line(layer, points[2:], width * 0.72, level * 0.85)
    if depth:
        for share, turn in ((2, 0.45), (3, -0.42)):
            child = float(headings[share] + turn * rng.uniform(0.6, 1.4))
            _branch(canvas, layer, rng, points[share], child, side, width * 0.62, length * 0.6, depth - 1)


def hide_vessels(canvas: Canvas, where: Map) -> None:
    """Take the lung vessels away where `where` is 1."""
    canvas.vessels *= 1 - where


def blend(canvas: Canvas) -> Map:
    """Attenuation with the vessels put in."""
    return cv2.add(canvas.attenuation, canvas.vessels)
