"""Shadows that look like a finding but are not one; each function names the finding that it imitates."""

import numpy as np

from trcgl.phantom.anatomy import LEFT, RIGHT, Anatomy
from trcgl.phantom.canvas import Canvas, Map, curve, ring
from trcgl.phantom.chest import Parts


def draw_distractors(canvas: Canvas, anatomy: Anatomy, parts: Parts, rng: np.random.Generator) -> None:
    supine = anatomy.supine
    _dots(canvas, parts, rng)
    for _ in range(rng.poisson(0.4 if supine else 0.15)):
        _skin_fold(canvas, anatomy, rng)
    for _ in range(rng.poisson(0.4)):
        _thin_arc(canvas, rng)
    if rng.random() < 0.25:
        _minor_fissure(canvas, anatomy, rng)
    if rng.random() < 0.06:
        _apical_arc(canvas, anatomy, rng)
    if rng.random() < 0.04:
        _bulla(canvas, anatomy, parts, rng)
    if rng.random() < 0.06:
        _gas_under_dome(canvas, anatomy, rng)
    if rng.random() < 0.12:
        _fat_planes(canvas, anatomy, rng)
    if rng.random() < 0.10:
        _clutter(canvas, anatomy, parts, rng)
    if rng.random() < (0.45 if supine else 0.03):
        _electrodes(canvas, rng)
    if rng.random() < (0.30 if supine else 0.02):
        _central_line(canvas, anatomy, rng)
    if rng.random() < 0.025:
        _port(canvas, rng)
    if rng.random() < 0.03:
        _buttons(canvas, anatomy, rng)
    if rng.random() < 0.06:
        _blunt_angle(canvas, anatomy, rng)


def _dots(canvas: Canvas, parts: Parts, rng: np.random.Generator) -> None:
    """Vessels end-on, nipples, calcified granulomas, rib ends: false nodules."""
    count = int(rng.poisson(1.6))
    for _ in range(count):
        x, y = rng.choice((-1, 1)) * rng.uniform(0.07, 0.30), rng.uniform(0.2, 0.68)
        radius = rng.uniform(0.006, 0.014)
        spot = canvas.ellipsoid(x, y, radius, radius * rng.uniform(0.8, 1.2))
        canvas.attenuation += np.float32(rng.uniform(0.08, 0.30)) * spot * parts.both_lungs
    if rng.random() < 0.16:
        y = rng.uniform(0.60, 0.66)
        sides = (RIGHT, LEFT) if rng.random() < 0.5 else (int(rng.choice((RIGHT, LEFT))),)
        for side in sides:
            nipple = canvas.ellipsoid(side * rng.uniform(0.19, 0.25), y, 0.014, 0.012, 0.0, 0.3)
            canvas.attenuation += np.float32(rng.uniform(0.1, 0.3)) * nipple
    if rng.random() < 0.09:
        # Callus of a healed rib or a dense first rib end
        x, y = rng.choice((-1, 1)) * rng.uniform(0.1, 0.31), rng.uniform(0.22, 0.6)
        rx, ry = rng.uniform(0.014, 0.028), rng.uniform(0.011, 0.02)
        callus = canvas.ellipsoid(x, y, rx, ry, rng.uniform(-0.5, 0.5), 0.4)
        canvas.attenuation += np.float32(rng.uniform(0.1, 0.4)) * callus


def _skin_fold(canvas: Canvas, anatomy: Anatomy, rng: np.random.Generator) -> None:
    """An edge with a density on its inner side that fades away: the classic false pneumothorax."""
    side = int(rng.choice((RIGHT, LEFT)))
    x = side * rng.uniform(0.14, anatomy.half_width - 0.01)
    y = rng.uniform(0.16, 0.4)
    length = rng.uniform(0.15, 0.45)
    lean = rng.normal(0, 0.06)
    middle_bow = side * rng.normal(0.01, 0.02)
    path = curve([(x, y), (x + lean / 2 + middle_bow, y + length / 2), (x + lean, y + length)], 12)
    layer = canvas.layer()
    shade = rng.uniform(0.02, 0.05)
    canvas.fill(layer, np.vstack([path, (path - (side * shade, 0))[::-1]]))
    coverage = canvas.coverage(layer, 0.002)
    gradient = np.clip(1 - np.abs(canvas.smooth(coverage, 0.012) - 0.5), 0.3, 1)
    canvas.attenuation += np.float32(rng.uniform(0.05, 0.22)) * coverage * gradient


def _thin_arc(canvas: Canvas, rng: np.random.Generator) -> None:
    """A line without meaning: gown, scar, vessel wall, companion shadow."""
    x, y = rng.choice((-1, 1)) * rng.uniform(0.06, 0.32), rng.uniform(0.12, 0.6)
    angle, length = rng.uniform(0, 2 * np.pi), rng.uniform(0.08, 0.24)
    step = np.array([np.cos(angle), np.sin(angle)]) * length / 2
    bow = np.array([-step[1], step[0]]) * rng.uniform(-0.4, 0.4)
    start = np.array([x, y])
    layer = canvas.layer()
    canvas.line(layer, curve(np.stack([start, start + step + bow, start + 2 * step]), 12), rng.uniform(0.002, 0.005))
    canvas.add(layer, rng.uniform(0.05, 0.2) * rng.choice((1.0, 1.0, -0.6)), 0.001)


def _minor_fissure(canvas: Canvas, anatomy: Anatomy, rng: np.random.Generator) -> None:
    y = rng.uniform(0.42, 0.5)
    layer = canvas.layer()
    end = -anatomy.half_width * rng.uniform(0.7, 0.97)
    canvas.line(layer, curve([(-0.10, y), (-0.2, y + rng.normal(0, 0.01)), (end, y + rng.normal(0, 0.02))], 10), 0.003)
    canvas.add(layer, rng.uniform(0.05, 0.2), 0.001)


def _apical_arc(canvas: Canvas, anatomy: Anatomy, rng: np.random.Generator) -> None:
    """Companion shadow, tortuous vessel or scapular border in an upper zone: a false azygos fissure or pleural line."""
    side = int(rng.choice((RIGHT, LEFT)))
    top = anatomy.apex + rng.uniform(0.02, 0.07)
    x = side * rng.uniform(0.08, 0.22)
    middle = (x + side * rng.uniform(-0.02, 0.04), top + 0.08)
    end = (x - side * rng.uniform(-0.02, 0.08), top + rng.uniform(0.13, 0.22))
    path = curve([(x, top), middle, end], 12)
    layer = canvas.layer()
    canvas.line(layer, path, rng.uniform(0.003, 0.006))
    canvas.add(layer, rng.uniform(0.08, 0.28), 0.001)


def _bulla(canvas: Canvas, anatomy: Anatomy, parts: Parts, rng: np.random.Generator) -> None:
    """A lucent apex without a pleural line: a false pneumothorax."""
    side = int(rng.choice((RIGHT, LEFT)))
    radius = rng.uniform(0.04, 0.10)
    x, y = side * rng.uniform(0.12, 0.26), anatomy.apex + rng.uniform(0.04, 0.2)
    air = canvas.ellipsoid(x, y, radius, radius * rng.uniform(0.8, 1.4)) * parts.lungs[side]
    canvas.attenuation -= np.float32(rng.uniform(0.1, 0.32)) * air
    canvas.vessels *= 1 - 0.8 * air


def _gas_under_dome(canvas: Canvas, anatomy: Anatomy, rng: np.random.Generator) -> None:
    """Colon, subphrenic fat or a flat stomach under a dome: false free air."""
    side = int(rng.choice((RIGHT, LEFT), p=(0.45, 0.55)))
    depth = rng.uniform(0.016, 0.05)
    across = rng.uniform(0.3, 0.8)
    x = side * across * anatomy.half_width
    y = float(anatomy.dome_y(side, across)) + depth * rng.uniform(1.0, 1.8)
    wide = rng.uniform(0.03, 0.085)
    gas = canvas.ellipsoid(x, y, wide, depth * 0.8, side * rng.uniform(-0.2, 0.5), 0.35)
    if rng.random() < 0.6:
        # Haustra distinguish the colon from free air
        gas = gas * np.clip(0.65 + 0.6 * np.sin(canvas.x * np.float32(rng.uniform(120, 260))), 0, 1)
    canvas.attenuation -= np.float32(rng.uniform(0.15, 0.8)) * canvas.smooth(gas, 0.002)


def _fat_planes(canvas: Canvas, anatomy: Anatomy, rng: np.random.Generator) -> None:
    """Two or three smooth lucent bands in the axilla: fat between muscles."""
    layer = canvas.layer()
    for side in (RIGHT, LEFT):
        for _ in range(rng.integers(1, 4)):
            x, y = anatomy.half_width + rng.uniform(0.015, 0.09), rng.uniform(0.24, 0.6)
            path = curve([(x + 0.02, y - 0.06), (x, y), (x - 0.01, y + rng.uniform(0.05, 0.14))], 8) * (side, 1)
            canvas.line(layer, path, rng.uniform(0.005, 0.012), rng.uniform(0.4, 1))
    canvas.add(layer, -rng.uniform(0.06, 0.25), 0.004)


def _clutter(canvas: Canvas, anatomy: Anatomy, parts: Parts, rng: np.random.Generator) -> None:
    """A vague density: scar, rotated muscle, crowding at a base; neither mass nor alveolar pattern."""
    side = int(rng.choice((RIGHT, LEFT)))
    x, y = side * rng.uniform(0.1, 0.28), rng.uniform(0.25, 0.68)
    blob = canvas.ellipsoid(x, y, rng.uniform(0.05, 0.13), rng.uniform(0.04, 0.10), rng.uniform(-1.5, 1.5), 1.2)
    canvas.attenuation += np.float32(rng.uniform(0.08, 0.28)) * blob * parts.lungs[side]


def _electrodes(canvas: Canvas, rng: np.random.Generator) -> None:
    """Monitoring leads: wires that cross the chest and end in a disc."""
    layer = canvas.layer()
    for _ in range(rng.integers(1, 4)):
        x, y = rng.uniform(-0.3, 0.3), rng.uniform(0.2, 0.75)
        start = (rng.uniform(-0.4, 0.4), rng.choice((-0.05, 1.05)))
        bend = ((x + start[0]) / 2 + rng.normal(0, 0.08), (y + start[1]) / 2)
        canvas.line(layer, curve([start, bend, (x, y)], 16), 0.0045, rng.uniform(0.3, 0.8))
        canvas.line(layer, [(x, y), (x + 0.006, y + 0.002)], rng.uniform(0.014, 0.035), rng.uniform(0.4, 1.0))
    canvas.add(layer, rng.uniform(0.2, 0.9), 0.001)


def _central_line(canvas: Canvas, anatomy: Anatomy, rng: np.random.Generator) -> None:
    """A catheter to the superior vena cava: short, right of the midline, not a gastric tube."""
    side = int(rng.choice((RIGHT, LEFT), p=(0.7, 0.3)))
    start = (side * rng.uniform(0.05, 0.12), -0.05) if rng.random() < 0.6 else (side * 0.36, 0.12)
    end = (anatomy.front - rng.uniform(0.015, 0.05), rng.uniform(0.34, 0.55))
    layer = canvas.layer()
    canvas.line(layer, curve([start, (side * 0.07, 0.18), (-0.035 + anatomy.front, 0.28), end], 18), 0.0055)
    canvas.add(layer, rng.uniform(0.1, 0.38), 0.001)


def _port(canvas: Canvas, rng: np.random.Generator) -> None:
    """A reservoir or recorder under the skin, with a short line: not a pacemaker."""
    side = int(rng.choice((RIGHT, LEFT)))
    x, y = side * rng.uniform(0.16, 0.29), rng.uniform(0.18, 0.34)
    rx, ry = rng.uniform(0.018, 0.04), rng.uniform(0.016, 0.032)
    body = canvas.ellipsoid(x, y, rx, ry, rng.uniform(-0.8, 0.8), 0.15)
    canvas.attenuation += np.float32(rng.uniform(0.4, 1.9)) * body
    if rng.random() < 0.7:
        layer = canvas.layer()
        end = (-0.035, rng.uniform(0.36, 0.5))
        canvas.line(layer, curve([(x, y), (side * 0.1, y - 0.06), (-0.03, 0.27), end], 16), 0.005)
        canvas.add(layer, rng.uniform(0.15, 0.5), 0.001)


def _buttons(canvas: Canvas, anatomy: Anatomy, rng: np.random.Generator) -> None:
    """Buttons, a zip or a chain in the midline: false sternal wires."""
    layer = canvas.layer()
    x, gap = anatomy.front + rng.normal(0, 0.012), rng.uniform(0.045, 0.10)
    top = rng.uniform(0.12, 0.3)
    radius = rng.uniform(0.005, 0.012)
    for k in range(rng.integers(3, 7)):
        canvas.line(layer, ring(x + rng.normal(0, 0.003), top + gap * k, radius, radius, 12), 0.004)
    canvas.add(layer, rng.uniform(0.12, 0.6), 0.001)


def _blunt_angle(canvas: Canvas, anatomy: Anatomy, rng: np.random.Generator) -> None:
    """An old adhesion or a fat pad in a costophrenic angle, straight where an effusion is curved."""
    side = int(rng.choice((RIGHT, LEFT)))
    high = rng.uniform(0.02, 0.07)
    y = float(anatomy.dome_y(side, 1.0))
    wall = float(anatomy.wall(y - high))
    layer = canvas.layer()
    inner_y = float(anatomy.dome_y(side, 0.75))
    corners = np.array([(wall + 0.02, y - high), (0.72 * wall, inner_y), (0.8 * wall, y), (wall + 0.02, y + 0.02)])
    canvas.fill(layer, corners * (side, 1))
    canvas.add(layer, rng.uniform(0.15, 0.6), 0.005)


def side_marker(film: Map, rng: np.random.Generator, share: float) -> None:
    """Draw a lead L near the upper corner on the patient's left, with probability `share`; changes `film` in place."""
    if rng.random() < share:
        size = film.shape[0]
        x, y = int(size * rng.uniform(0.88, 0.94)), int(size * rng.uniform(0.04, 0.16))
        tall, wide, stroke = size // 20, size // 32, max(1, size // 128)
        value = np.float32(rng.uniform(0.7, 1.0))
        film[y : y + tall, x : x + stroke] = value
        film[y + tall - stroke : y + tall, x : x + wide] = value
