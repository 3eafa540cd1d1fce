"""From a chest to an image: attenuation, scatter, blur and quantum noise, then a 12-bit detector value in 16 bits."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from trcgl.config import HospitalParams
from trcgl.numerics.seeding import rng
from trcgl.phantom import lateral
from trcgl.phantom.anatomy import draw_anatomy, position
from trcgl.phantom.canvas import Canvas, Map, Mask
from trcgl.phantom.chest import blend, draw_chest
from trcgl.phantom.distractors import draw_distractors, side_marker
from trcgl.phantom.lesions import BEND, DRAW

SIZE = 256
"""Pixels a side; real detectors have 2,500, but findings are drawn to survive at 64."""


@dataclass(frozen=True)
class View:
    """One image to render. The same view always gives the same pixels, whatever else is rendered."""

    seed: int
    patient: str
    """Anatomy and lesions follow from (seed, patient): two studies of a patient show the same nodule."""
    image: str
    """Positioning, exposure, distractors and noise follow from (seed, image)."""
    projection: str
    female: bool
    age: float
    findings: tuple[str, ...]
    hospital: HospitalParams


def render(view: View, size: int = SIZE) -> tuple[NDArray[np.uint16], dict[str, Mask]]:
    """Render one image and the masks of its lesions.

    Returns:
        uint16 [size, size], 12 significant bits shifted to 16 (0 to 65520, bone bright); and a mask, bool [size, size],
        for every finding with a visible lesion, by name of the finding.
    """
    image_rng = rng(view.seed, "image", view.image)
    canvas = Canvas(
        size,
        zoom=float(np.clip(image_rng.normal(1.1, 0.025), 1.02, 1.18)),
        roll=float(image_rng.normal(0, 0.02)),
        shift=(float(image_rng.normal(0, 0.011)), float(image_rng.normal(0, 0.011))),
    )
    if view.projection == "L":
        lateral.draw(canvas, image_rng)
        return expose(canvas.attenuation, image_rng, view.hospital, supine=False), {}
    anatomy = draw_anatomy(rng(view.seed, "anatomy", view.patient), age=view.age, female=view.female)
    position(anatomy, image_rng, view.projection)
    milder = 1 / view.hospital.severity
    severities = {
        name: float(rng(view.seed, "severity", view.patient, name).random()) ** milder for name in view.findings
    }
    for name, bend in BEND.items():
        if name in severities:
            bend(anatomy, rng(view.seed, "bend", view.patient, name), severities[name])
    parts = draw_chest(canvas, anatomy, image_rng)
    masks = {}
    for name, draw in DRAW.items():
        if name in severities:
            mask = draw(canvas, anatomy, parts, rng(view.seed, "draw", view.patient, name), severities[name])
            if mask.any():
                masks[name] = mask
    draw_distractors(canvas, anatomy, parts, image_rng)
    return expose(blend(canvas), image_rng, view.hospital, supine=anatomy.supine), masks


def expose(
    attenuation: Map, generator: np.random.Generator, hospital: HospitalParams, *, supine: bool
) -> NDArray[np.uint16]:
    """To pixels by Beer-Lambert, scatter, focal blur, quantum noise, logarithm, detector curve and quantisation."""
    size = attenuation.shape[0]
    clutter = sum(
        np.float32(gain) * _cloud(generator, size, cells) for gain, cells in ((0.03, 5), (0.018, 14), (0.010, 40))
    )
    primary = cv2.exp(-(np.maximum(attenuation, 0) + clutter))
    small = cv2.resize(primary, (size // 8, size // 8), interpolation=cv2.INTER_AREA)
    scatter = cv2.resize(cv2.GaussianBlur(small, (0, 0), 4), (size, size), interpolation=cv2.INTER_LINEAR)
    signal = primary + np.float32(generator.uniform(0.10, 0.20) * (1.5 if supine else 1.0)) * scatter
    signal = cv2.GaussianBlur(signal, (0, 0), generator.uniform(0.45, 0.85) * hospital.blur * size / 256)
    photons = generator.uniform(1500, 9000) * (0.6 if supine else 1.0)
    noise = generator.standard_normal(signal.shape, dtype=np.float32)
    signal += np.sqrt(signal * np.float32(hospital.noise**2 / photons)) * noise
    shade = -cv2.log(np.maximum(signal, np.float32(1e-3)))
    # Detector curve: the dark and bright ends are compressed, as on displayed radiographs
    centre = generator.normal(1.9, 0.12) + hospital.brightness
    slope = generator.uniform(1.15, 1.6) * hospital.contrast
    film = 1 / (1 + cv2.exp(-np.float32(slope) * (shade - np.float32(centre))))
    side_marker(film, generator, hospital.marked)
    _collimate(film, generator, hospital.collimated)
    return (np.clip(film * 4095, 0, 4095).astype(np.uint16)) << 4


def _cloud(generator: np.random.Generator, size: int, cells: int) -> Map:
    coarse = generator.standard_normal((cells + 3, cells + 3), dtype=np.float32)
    return cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)


def _collimate(film: Map, generator: np.random.Generator, share: float) -> None:
    """With probability `share`, show the edge of the collimator on one or two sides; changes `film` in place."""
    if generator.random() < share:
        size = film.shape[0]
        width = max(1, int(size * generator.uniform(0.01, 0.05)))
        value = np.float32(generator.choice((0.0, 0.97)))
        if generator.random() < 0.5:
            film[:, :width] = value
            film[:, -width:] = value
        else:
            film[:width] = value
