"""Logs the training speed of a phase."""

from trcgl.runtime.logging import get_logger

log = get_logger("diffusion")


class Meter:
    """One log line per epoch-equivalent: loss, images per second, and the share of time spent waiting for data."""

    def __init__(self, phase: str, steps: int, batch_size: int, epoch_images: int):
        self.phase, self.steps, self.batch_size, self.epoch_images = phase, steps, batch_size, epoch_images
        self._clear()

    def _clear(self) -> None:
        self.images, self.seconds, self.waited = 0, 0.0, 0.0

    def add(self, seconds: float, waited: float) -> None:
        """Count a step."""
        self.images += self.batch_size
        self.seconds += seconds
        self.waited += waited

    def report(self, step: int, loss: float) -> None:
        """Write the log line if an epoch of images was counted or the phase ends; then count from zero again."""
        if self.images < self.epoch_images and step < self.steps:
            return
        log.info(
            "%s: step %d/%d, loss %.4f, %.0f images/s, data wait %.0f %%",
            self.phase, step, self.steps, loss, self.images / self.seconds, 100 * self.waited / self.seconds,
        )  # fmt: skip
        self._clear()
