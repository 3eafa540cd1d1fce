"""The kinds of layers that can be adapted. This is apart from the adapters, so that it does not import torch."""

from collections.abc import Sequence

from trcgl.runtime.errors import InputError

UNET_LAYERS = {
    "attention": ["to_q", "to_k", "to_v", "to_out.0"],
    "feed_forward": ["ff.net.0.proj", "ff.net.2", "proj_in", "proj_out"],
    "convolution": ["conv1", "conv2", "conv_shortcut", "conv_in", "conv_out", "time_emb_proj"],
}
TEXT_LAYERS = ["q_proj", "k_proj", "v_proj", "out_proj"]


def check_layers(layers: Sequence[str]) -> None:
    """Raise an InputError unless there is at least one name and every name is a key of UNET_LAYERS."""
    for name in layers:
        if name not in UNET_LAYERS:
            raise InputError(f"'diffusion.lora_layers' has '{name}'; use one or more of: {', '.join(UNET_LAYERS)}")
    if not layers:
        raise InputError(f"'diffusion.lora_layers' is empty; use one or more of: {', '.join(UNET_LAYERS)}")
