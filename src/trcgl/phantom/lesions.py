"""The findings: `BEND` functions change the anatomy before the chest is drawn, `DRAW` functions add to it afterwards.

`severity` runs from 0 (barely visible) to 1 (obvious). A `DRAW` function returns the mask of the lesion; the mask is
empty if nothing is visible.
"""

from collections.abc import Callable

import cv2
import numpy as np

from trcgl.phantom.anatomy import LEFT, RIGHT, Anatomy
from trcgl.phantom.canvas import Canvas, Map, Mask, curve, moved
from trcgl.phantom.chest import Parts, hide_vessels
from trcgl.phantom.devices import draw_pacemaker, draw_tube, draw_wires
from trcgl.phantom.severity import between

Bend = Callable[[Anatomy, np.random.Generator, float], None]
Draw = Callable[[Canvas, Anatomy, Parts, np.random.Generator, float], Mask]


def _some_side(rng: np.random.Generator) -> int:
    return int(rng.choice((RIGHT, LEFT)))


# --- findings that change the anatomy ---


def bend_copd(anatomy: Anatomy, rng: np.random.Generator, severity: float) -> None:
    deeper = between(0.018, 0.055, severity)
    for side in (RIGHT, LEFT):
        anatomy.dome[side] += deeper
    anatomy.dome_height *= 1 - between(0.25, 0.65, severity)
    anatomy.lucency *= 1 + between(0.05, 0.15, severity)
    anatomy.vessel_gain *= 1 - between(0.12, 0.35, severity)
    anatomy.heart_ratio -= rng.uniform(0.0, 0.035)
    anatomy.half_width = min(anatomy.half_width + rng.uniform(0.0, 0.015), 0.42)


def bend_cardiomegaly(anatomy: Anatomy, rng: np.random.Generator, severity: float) -> None:
    anatomy.heart_ratio = max(anatomy.heart_ratio + 0.035, between(0.505, 0.63, severity))


def bend_aorta(anatomy: Anatomy, rng: np.random.Generator, severity: float) -> None:
    anatomy.knob += between(0.006, 0.024, severity)
    anatomy.aorta_bulge += between(0.014, 0.05, severity)


def bend_scoliosis(anatomy: Anatomy, rng: np.random.Generator, severity: float) -> None:
    anatomy.spine_bend = float(rng.choice((-1, 1))) * between(0.045, 0.095, severity)
    anatomy.spine_turns = float(rng.uniform(1.0, 2.4))


def bend_hernia(anatomy: Anatomy, rng: np.random.Generator, severity: float) -> None:
    # The stomach, or its upper part, has moved into the chest, together with its gas
    anatomy.stomach_gas = False


def bend_dextrocardia(anatomy: Anatomy, rng: np.random.Generator, severity: float) -> None:
    anatomy.heart_left = 0.43 - between(0.02, 0.12, severity)
    if rng.random() < 0.35:
        # Situs inversus: arch and stomach change sides as well
        anatomy.arch_side, anatomy.stomach_side = RIGHT, RIGHT
        anatomy.dome[RIGHT], anatomy.dome[LEFT] = anatomy.dome[LEFT], anatomy.dome[RIGHT]


def show_heart(canvas: Canvas, anatomy: Anatomy, parts: Parts, rng: np.random.Generator, severity: float) -> Mask:
    return parts.heart > 0.5


def show_aorta(canvas: Canvas, anatomy: Anatomy, parts: Parts, rng: np.random.Generator, severity: float) -> Mask:
    return (parts.aorta > 0.5) & (canvas.y < 0.62)


def show_spine(canvas: Canvas, anatomy: Anatomy, parts: Parts, rng: np.random.Generator, severity: float) -> Mask:
    y = np.linspace(anatomy.apex, 0.9, 30)
    layer = canvas.layer()
    canvas.line(layer, np.stack([anatomy.spine_x(y), y], 1), 0.07)
    return layer > 127


# --- lungs ---


def _lung_spot(anatomy: Anatomy, rng: np.random.Generator, margin: float) -> tuple[int, float, float]:
    """A random side and a point (x, y) in that lung; `margin` keeps it away from the apex and, with room, the wall."""
    side = _some_side(rng)
    y = rng.uniform(anatomy.apex + 0.06 + margin, anatomy.dome[side] - 0.02)
    wall = float(anatomy.wall(y)) - margin
    return side, side * rng.uniform(min(0.09, wall - 0.01), wall), y


def draw_nodule(canvas: Canvas, anatomy: Anatomy, parts: Parts, rng: np.random.Generator, severity: float) -> Mask:
    _, x, y = _lung_spot(anatomy, rng, 0.03)
    radius = rng.uniform(0.027, 0.048)
    stretch = rng.uniform(0.85, 1.2)
    shape = canvas.ellipsoid(x, y, radius, radius * stretch, rng.uniform(0, 3.1), 0.4)
    canvas.attenuation += np.float32(between(0.8, 1.8, severity)) * canvas.smooth(shape, 0.002)
    return shape > 0.2


def draw_mass(canvas: Canvas, anatomy: Anatomy, parts: Parts, rng: np.random.Generator, severity: float) -> Mask:
    _, x, y = _lung_spot(anatomy, rng, 0.04)
    radius = rng.uniform(0.055, 0.11)
    turn = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    # A lobed outline
    waves = [rng.uniform(0, 0.11) * np.sin(k * turn + rng.uniform(0, 6.3)) for k in (2, 3, 5)]
    outline = (
        radius
        * (1 + np.sum(waves, axis=0))[:, None]
        * np.stack([np.cos(turn), rng.uniform(0.75, 1.1) * np.sin(turn)], 1)
    )
    layer = canvas.layer()
    canvas.fill(layer, moved(outline, x, y))
    shape = canvas.coverage(layer, rng.uniform(0.004, 0.012))
    thick = 0.6 + 0.4 * canvas.ellipsoid(x, y, radius * 1.1, radius * 1.1)
    canvas.attenuation += np.float32(between(0.8, 1.8, severity)) * shape * thick
    return shape > 0.5


def draw_alveolar(canvas: Canvas, anatomy: Anatomy, parts: Parts, rng: np.random.Generator, severity: float) -> Mask:
    patch = np.zeros_like(canvas.attenuation)
    both = rng.random() < 0.35
    side = _some_side(rng)
    for where in (RIGHT, LEFT) if both else (side,):
        for _ in range(rng.integers(1, 4)):
            x, y = where * rng.uniform(0.11, 0.27), rng.uniform(0.32, anatomy.dome[where] - 0.01)
            blob = canvas.ellipsoid(x, y, rng.uniform(0.06, 0.13), rng.uniform(0.06, 0.14), rng.uniform(-1, 1), 0.8)
            patch = np.maximum(patch, blob * parts.lungs[where])
    fluff = np.clip(0.75 + 0.4 * canvas.cloud(rng, 16) + 0.3 * canvas.cloud(rng, 34), 0, 1.6)
    patch = canvas.smooth(patch * fluff, 0.004)
    canvas.attenuation += np.float32(between(0.45, 1.3, severity)) * patch
    hide_vessels(canvas, np.clip(0.6 * patch, 0, 1))
    return patch > 0.3


def draw_band(canvas: Canvas, anatomy: Anatomy, parts: Parts, rng: np.random.Generator, severity: float) -> Mask:
    layer = canvas.layer()
    for _ in range(1 + int(rng.random() < 0.4)):
        side = _some_side(rng)
        y = anatomy.dome[side] - rng.uniform(0.03, 0.17)
        x = side * rng.uniform(0.10, 0.17)
        length, tilt = rng.uniform(0.10, 0.20), rng.normal(0, 0.25)
        end = (x + side * length * np.cos(tilt), y + length * np.sin(tilt))
        middle = ((x + end[0]) / 2, (y + end[1]) / 2 + rng.normal(0, 0.006))
        canvas.line(layer, curve([(x, y), middle, end], 10), rng.uniform(0.016, 0.027))
    canvas.add(layer, between(0.7, 1.5, severity), 0.002)
    return layer > 127


# --- pleura ---


def draw_effusion(canvas: Canvas, anatomy: Anatomy, parts: Parts, rng: np.random.Generator, severity: float) -> Mask:
    sides = (RIGHT, LEFT) if rng.random() < 0.3 else (_some_side(rng),)
    place = np.zeros(canvas.attenuation.shape, bool)
    for side in sides:
        high = between(0.03, 0.26, severity) * rng.uniform(0.85, 1.15)
        angle_y = float(anatomy.dome_y(side, 1.0))
        top = angle_y - 0.03 - high
        wall = float(anatomy.wall(top))
        layer = canvas.layer()
        # The meniscus climbs along the wall
        u = np.linspace(1.06, 0.1, 16)
        level = top + (0.06 + 0.35 * high) * (1 - np.clip(u, 0, 1) ** 2.2) * rng.uniform(0.7, 1.2)
        surface = np.stack([side * u * wall, level], 1)
        deep = np.array([(side * 0.04, angle_y + 0.05), (side * (wall + 0.04), angle_y + 0.05)])
        canvas.fill(layer, np.vstack([surface, deep]))
        lung = canvas.smooth(parts.lungs[side], 0.004)
        fluid = canvas.coverage(layer, 0.006) * lung
        amount = between(0.6, 1.6, severity)
        if anatomy.supine:
            # In a supine patient the fluid spreads behind the lung as a veil
            veil = np.clip((canvas.y - np.float32(top - 0.25)) * np.float32(2.2), 0, 1) * lung
            canvas.attenuation += np.float32(between(0.10, 0.4, severity)) * veil
            amount *= 0.6
        canvas.attenuation += np.float32(amount) * fluid
        hide_vessels(canvas, 0.7 * fluid)
        place |= fluid > 0.4
    return place


def _outer_strip(canvas: Canvas, anatomy: Anatomy, side: int, gap: float, low: float, apical: float) -> np.ndarray:
    """The edge of a lung that has collapsed by `gap` from the wall, from the apex down to height `low`: n x 2."""
    y = np.linspace(anatomy.apex + apical, low, 18)
    fade = np.clip((low - y) / (low - anatomy.apex), 0, 1) ** 0.6
    x = np.maximum(anatomy.wall(y) - gap * (0.25 + 0.75 * fade), 0.06)
    inner = side * max(float(anatomy.wall(anatomy.apex + 0.03)) * 0.3, 0.06)
    edge = np.vstack([[inner, anatomy.apex + apical * 0.85], np.stack([side * x, y], 1)])
    return curve(edge[[0, 2, 5, 9, 13, 18]], 24)


def _pleural_air(canvas: Canvas, side: int, edge: np.ndarray, parts: Parts) -> Map:
    layer = canvas.layer()
    outside = np.array([(side * 0.5, edge[-1, 1]), (side * 0.5, -0.1), (edge[0, 0], -0.1)])
    canvas.fill(layer, np.vstack([edge, outside]))
    return canvas.coverage(layer, 0.0015) * parts.lungs[side]


def draw_pneumothorax(
    canvas: Canvas, anatomy: Anatomy, parts: Parts, rng: np.random.Generator, severity: float
) -> Mask:
    side = _some_side(rng)
    gap = between(0.055, 0.16, severity) * rng.uniform(0.85, 1.2)
    low = rng.uniform(0.42, 0.68)
    edge = _outer_strip(canvas, anatomy, side, gap, low, gap * rng.uniform(0.8, 1.5))
    air = _pleural_air(canvas, side, edge, parts)
    hide_vessels(canvas, 0.95 * air)
    canvas.attenuation -= np.float32(between(0.42, 0.88, severity)) * air
    line = canvas.layer()
    canvas.line(line, edge, 0.0045)
    canvas.attenuation += np.float32(between(0.15, 0.40, rng.random())) * canvas.coverage(line) * parts.lungs[side]
    return air > 0.5


def draw_hydropneumothorax(
    canvas: Canvas, anatomy: Anatomy, parts: Parts, rng: np.random.Generator, severity: float
) -> Mask:
    side = _some_side(rng)
    gap = between(0.045, 0.14, severity) * rng.uniform(0.9, 1.2)
    level = anatomy.dome[side] - rng.uniform(0.03, 0.19)
    edge = _outer_strip(canvas, anatomy, side, gap, level, gap * rng.uniform(0.4, 1.2))
    air = _pleural_air(canvas, side, edge, parts)
    hide_vessels(canvas, 0.95 * air)
    canvas.attenuation -= np.float32(between(0.32, 0.70, severity)) * air
    line = canvas.layer()
    canvas.line(line, edge, 0.0045)
    canvas.attenuation += np.float32(between(0.15, 0.40, rng.random())) * canvas.coverage(line) * parts.lungs[side]
    # Fluid with a level as straight as a ruler from the wall inwards
    layer = canvas.layer()
    bottom = float(anatomy.dome_y(side, 1.0)) + 0.05
    canvas.fill(layer, [(0.0, level), (side * 0.5, level), (side * 0.5, bottom), (0.0, bottom)])
    deeper_outside = np.clip(0.25 + 0.75 * np.abs(canvas.x) * np.float32(1 / anatomy.half_width), 0, 1)
    fluid = canvas.coverage(layer, 0.001) * parts.lungs[side] * deeper_outside
    canvas.attenuation += np.float32(between(0.45, 1.2, severity)) * fluid
    hide_vessels(canvas, 0.7 * fluid)
    return (air > 0.5) | (fluid > 0.5)


# --- mediastinum, abdomen, soft parts ---


def draw_azygos(canvas: Canvas, anatomy: Anatomy, parts: Parts, rng: np.random.Generator, severity: float) -> Mask:
    top = anatomy.apex + rng.uniform(0.015, 0.045)
    x_top = -float(anatomy.wall(top + 0.03)) * rng.uniform(0.5, 0.85)
    foot = (-0.052 - rng.uniform(0, 0.022), rng.uniform(0.32, 0.38))
    bow = (x_top - rng.uniform(0.03, 0.09), 0.5 * (top + foot[1]) + rng.uniform(-0.02, 0.05))
    # A quadratic curve, convex towards the wall: the comma-shaped line of four layers of pleura
    t = np.linspace(0, 1, 18)[:, None]
    path = (1 - t) ** 2 * np.array([x_top, top]) + 2 * t * (1 - t) * np.array(bow) + t**2 * np.array(foot)
    layer = canvas.layer()
    canvas.line(layer, path, rng.uniform(0.006, 0.009))
    canvas.add(layer, between(0.4, 0.95, severity), 0.001)
    drop = canvas.ellipsoid(foot[0], foot[1] + 0.008, 0.018, 0.027, 0.35, 0.4)
    canvas.attenuation += np.float32(between(0.35, 0.9, severity)) * drop
    # The lobe itself is a little denser, because pleura covers it twice
    area = canvas.layer()
    canvas.fill(area, np.vstack([path, [(-0.05, foot[1]), (-0.05, top)]]))
    canvas.attenuation += np.float32(between(0.34, 0.75, severity)) * canvas.coverage(area, 0.003)
    return cv2.dilate(layer, np.ones((3, 3), np.uint8)) > 127


def draw_free_air(canvas: Canvas, anatomy: Anatomy, parts: Parts, rng: np.random.Generator, severity: float) -> Mask:
    both = rng.random() < 0.35
    place = np.zeros(canvas.attenuation.shape, bool)
    for side in (RIGHT, LEFT) if both else (RIGHT if rng.random() < 0.85 else LEFT,):
        deep = between(0.024, 0.062, severity)
        first, last = rng.uniform(0.15, 0.3), rng.uniform(0.7, 0.95)
        u = np.linspace(first, last, 14)
        top = anatomy.dome_y(side, u) + 0.007
        wall = float(anatomy.wall(anatomy.dome[side]))
        sickle = deep * np.clip(np.sin(np.pi * (u - first) / (last - first)), 0, 1) ** 0.7
        upper, lower = np.stack([side * u * wall, top], 1), np.stack([side * u * wall, top + sickle], 1)
        layer = canvas.layer()
        canvas.fill(layer, np.vstack([upper, lower[::-1]]))
        air = canvas.add(layer, -between(0.65, 1.7, severity), 0.0015)
        place |= air > 0.4
    return place


def draw_emphysema(canvas: Canvas, anatomy: Anatomy, parts: Parts, rng: np.random.Generator, severity: float) -> Mask:
    layer = canvas.layer()
    sides = (RIGHT, LEFT) if rng.random() < 0.4 else (_some_side(rng),)
    for side in sides:
        for _ in range(int(between(14, 42, severity))):
            # Streaks between the layers of the flank, and the fan of the pectoral muscle
            if rng.random() < 0.65:
                y = rng.uniform(0.25, 0.75)
                x = float(anatomy.wall(y)) + rng.uniform(0.012, 0.075)
                dx, dy = rng.normal(0, 0.008), rng.uniform(0.02, 0.08)
            else:
                x, y = rng.uniform(0.10, 0.34), anatomy.apex + rng.uniform(-0.05, 0.17)
                dx, dy = rng.uniform(0.02, 0.06), rng.uniform(-0.045, 0.0)
            path = curve([(x, y), (x + dx / 2 + rng.normal(0, 0.003), y + dy / 2), (x + dx, y + dy)], 6) * (side, 1)
            canvas.line(layer, path, rng.uniform(0.006, 0.013), rng.uniform(0.5, 1.0))
    air = canvas.add(layer, -between(0.35, 1.0, severity), 0.0015) * parts.body
    return cv2.dilate((air > 0.25).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0


def draw_hernia(canvas: Canvas, anatomy: Anatomy, parts: Parts, rng: np.random.Generator, severity: float) -> Mask:
    radius = rng.uniform(0.07, 0.115)
    x = anatomy.stomach_side * rng.uniform(0.03, 0.11)
    y = 0.5 * (anatomy.dome[LEFT] + anatomy.dome[RIGHT]) - radius * rng.uniform(0.5, 1.2)
    shape = canvas.ellipsoid(x, y, radius * rng.uniform(1.0, 1.35), radius, 0.0, 0.35)
    canvas.attenuation += np.float32(between(0.6, 1.5, severity)) * shape
    if rng.random() < 0.8:
        gas = canvas.ellipsoid(x, y - 0.15 * radius, radius * 0.85, radius * 0.7, 0.0, 0.35)
        if not anatomy.supine:
            gas = gas * (canvas.y < np.float32(y + radius * rng.uniform(-0.2, 0.3)))
        canvas.attenuation -= np.float32(between(1.6, 3.2, severity)) * canvas.smooth(gas, 0.002)
    return shape > 0.2


BEND: dict[str, Bend] = {
    "COPD signs": bend_copd,
    "cardiomegaly": bend_cardiomegaly,
    "aortic elongation": bend_aorta,
    "scoliosis": bend_scoliosis,
    "hiatal hernia": bend_hernia,
    "dextrocardia": bend_dextrocardia,
}

# Air first: it removes vessels, and later shadows lie over it
DRAW: dict[str, Draw] = {
    "pneumothorax": draw_pneumothorax,
    "hydropneumothorax": draw_hydropneumothorax,
    "cardiomegaly": show_heart,
    "aortic elongation": show_aorta,
    "scoliosis": show_spine,
    "dextrocardia": show_heart,
    "pleural effusion": draw_effusion,
    "alveolar pattern": draw_alveolar,
    "nodule": draw_nodule,
    "pulmonary mass": draw_mass,
    "laminar atelectasis": draw_band,
    "azygos lobe": draw_azygos,
    "pneumoperitoneo": draw_free_air,
    "subcutaneous emphysema": draw_emphysema,
    "hiatal hernia": draw_hernia,
    "NSG tube": draw_tube,
    "pacemaker": draw_pacemaker,
    "sternotomy": draw_wires,
}
