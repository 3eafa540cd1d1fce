"""Settings of `trcgl pretrain`, in a file of their own such as studies/pretrain/pretrain.yaml."""

from pathlib import Path

from trcgl.config import PROBABILITY
from trcgl.runtime.settings import knob, read_section, read_yaml, section


@section
class PretrainParams:
    """Settings of a small base generator: its networks, and how they are trained."""

    start: str | None
    latent_channels: int = knob(low=1)
    autoencoder_channels: tuple[int, ...]
    autoencoder_steps: int = knob(low=1)
    autoencoder_batch: int = knob(low=1)
    autoencoder_lr: float = knob(low=0.0)
    text_width: int = knob(low=8)
    text_layers: int = knob(low=1)
    unet_channels: tuple[int, ...]
    unet_steps: int = knob(low=1)
    unet_batch: int = knob(low=1)
    unet_lr: float = knob(low=0.0)
    unet_ema: float = knob(**PROBABILITY)
    repeat_threshold: float = knob(**PROBABILITY)
    repeat_max: float = knob(low=1.0)


def load_pretrain_params(path: str | Path) -> PretrainParams:
    """Read and check the settings; raises the same errors as `load_params`."""
    return read_section(PretrainParams, read_yaml(path), str(path), "")
