"""The parameters of one chest's shape: sampled per patient, then changed by findings.

Lengths are in chest units (the image is 1 x 1 at zoom 1), x grows towards the patient's left, y downwards.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RIGHT, LEFT = -1, 1


@dataclass
class Anatomy:
    """The shape of one chest. Mutable, because findings change it before anything is rendered."""

    female: bool
    age: float
    supine: bool
    girth: float
    """Thickness of the trunk; 1 is average."""
    half_width: float
    apex: float
    dome: dict[int, float]
    dome_height: float
    heart_ratio: float
    """Heart width over inner chest width."""
    heart_left: float
    """Share of the heart's width left of the midline; below 0.5 the apex points to the patient's right."""
    heart_tilt: float
    knob: float
    """Radius of the aortic knob."""
    aorta_bulge: float
    """How far the descending aorta bows to its side."""
    arch_side: int
    stomach_side: int
    stomach_gas: bool
    spine_bend: float
    spine_phase: float
    spine_turns: float
    yaw: float
    """Turn of the trunk, -1 to 1: front structures slide against the spine and one lung gets clearer."""
    lucency: float
    """Air in the lungs; 1 is average."""
    vessel_gain: float
    rib_slope: float
    rib_gap: float
    rib_gain: float
    breast: float

    def spine_x(self, y: NDArray[np.floating] | float) -> NDArray[np.float64]:
        """The middle of the spine at height `y`."""
        return self.spine_bend * np.sin(np.asarray(y) * np.pi * self.spine_turns + self.spine_phase)

    def wall(self, y: NDArray[np.floating] | float) -> NDArray[np.float64]:
        """Distance of the inner chest wall from the midline at height `y`."""
        t = np.clip((np.asarray(y, np.float64) - self.apex) / (0.80 - self.apex), 0, 1.15)
        return self.half_width * np.power(np.clip(1 - np.power(1 - np.minimum(t / 0.8, 1), 2.4), 0, 1), 1 / 2.4)

    def dome_y(self, side: int, across: NDArray[np.floating] | float) -> NDArray[np.float64]:
        """Height of the diaphragm; `across` runs from 0 at the midline to 1 at the chest wall."""
        u = np.asarray(across, np.float64)
        lateral = np.clip(u - 0.45, 0, 1) / 0.55
        medial = np.clip(0.45 - u, 0, 1) / 0.45
        return self.dome[side] + self.dome_height * (1.5 * lateral**2.2 + 0.45 * medial**2)

    def lung(self, side: int) -> NDArray[np.float64]:
        """The outline of one lung, clockwise from the medial apex: n x 2."""
        down = np.linspace(0, 1, 22)
        angle_y = float(self.dome_y(side, 1.0))
        y_wall = self.apex + (angle_y - self.apex) * (1 - (1 - down) ** 1.6)
        wall = np.stack([side * np.maximum(self.wall(y_wall), 0.075), y_wall], 1)
        across = np.linspace(1, 0.14, 16)
        floor = np.stack([side * across * float(self.wall(angle_y)), self.dome_y(side, across)], 1)
        inner_y = np.linspace(self.dome[side], self.apex + 0.03, 10)
        inner = np.stack([side * 0.05 + 0.6 * self.spine_x(inner_y), inner_y], 1)
        return np.vstack([wall, floor, inner])

    @property
    def heart_width(self) -> float:
        return self.heart_ratio * 2 * self.half_width

    @property
    def front(self) -> float:
        """Sideways shift of the front structures (sternum, heart) caused by the rotation of the trunk."""
        return 0.035 * self.yaw

    def heart_centre(self) -> tuple[float, float]:
        x = (self.heart_left - 0.5) * self.heart_width + self.front
        floor = 0.5 * (self.dome[LEFT] + self.dome[RIGHT])
        return x, floor - 0.30 * self.heart_width + 0.035

    def apex_side(self) -> int:
        return LEFT if self.heart_left >= 0.5 else RIGHT


def draw_anatomy(rng: np.random.Generator, *, age: float, female: bool) -> Anatomy:
    """Sample a normal chest for this age and sex: the properties that all studies of the patient share."""
    old = np.clip((age - 45) / 40, 0, 1)
    dome = float(rng.normal(0.705, 0.028))
    shifted = rng.random() < 0.04
    return Anatomy(
        female=female,
        age=age,
        supine=False,
        girth=float(np.clip(rng.normal(1.0, 0.16), 0.65, 1.5)),
        half_width=float(np.clip(rng.normal(0.355 - 0.012 * female, 0.018), 0.30, 0.41)),
        apex=float(np.clip(rng.normal(0.12, 0.018), 0.07, 0.18)),
        dome={RIGHT: dome, LEFT: dome + float(rng.normal(0.022, 0.013))},
        dome_height=float(np.clip(rng.normal(0.062, 0.015), 0.025, 0.11)),
        heart_ratio=float(np.clip(rng.normal(0.445 + 0.02 * old, 0.036), 0.34, 0.545)),
        # A few hearts are pushed towards the middle by an old loss of lung volume: not dextrocardia
        heart_left=float(np.clip(rng.normal(0.53 if shifted else 0.67, 0.05), 0.43, 0.8)),
        heart_tilt=float(rng.normal(0.45, 0.12)),
        knob=float(np.clip(rng.normal(0.036 + 0.008 * old, 0.005), 0.024, 0.058)),
        aorta_bulge=float(np.clip(rng.normal(0.014 + 0.014 * old, 0.009), 0.0, 0.05)),
        arch_side=LEFT,
        stomach_side=LEFT,
        stomach_gas=bool(rng.random() < 0.8),
        spine_bend=float(np.clip(rng.normal(0.0, 0.007), -0.018, 0.018)),
        spine_phase=float(rng.uniform(0, 2 * np.pi)),
        spine_turns=float(rng.uniform(0.8, 1.8)),
        yaw=0.0,
        lucency=float(np.clip(rng.normal(1.0, 0.07), 0.8, 1.2)),
        vessel_gain=float(np.clip(rng.normal(1.0, 0.22), 0.5, 1.7)),
        rib_slope=float(rng.normal(0.10, 0.02)),
        rib_gap=float(rng.normal(0.066, 0.004)),
        rib_gain=float(np.clip(rng.normal(1.0 - 0.25 * old, 0.2), 0.4, 1.5)),
        breast=float(np.clip(rng.normal(1.0, 0.35), 0.2, 2.0)) if female else float(rng.uniform(0, 0.15)),
    )


def position(anatomy: Anatomy, rng: np.random.Generator, projection: str) -> None:
    """Sample what differs between studies: breath and rotation, higher domes when supine, a wider heart in AP views."""
    anatomy.supine = projection == "AP_horizontal"
    anatomy.yaw = float(np.clip(rng.normal(0, 0.55 if anatomy.supine else 0.3), -1.4, 1.4))
    breath = float(rng.normal(-0.045 if anatomy.supine else 0.0, 0.022 if anatomy.supine else 0.014))
    for side in (RIGHT, LEFT):
        anatomy.dome[side] += breath
    if projection != "PA":
        anatomy.heart_ratio += float(rng.uniform(0.0, 0.035))
    anatomy.heart_ratio -= 0.4 * breath
