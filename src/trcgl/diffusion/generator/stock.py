"""The stock diffusers classes that are used here.

diffusers exports them lazily, and its annotations of some arguments are narrower than what it accepts. A type checker
would report every use as an error.
"""

from typing import Any

import diffusers

_stock: Any = diffusers
AutoencoderKL = _stock.AutoencoderKL
UNet2DConditionModel = _stock.UNet2DConditionModel
StableDiffusionPipeline = _stock.StableDiffusionPipeline
DDPMScheduler = _stock.DDPMScheduler
DPMSolverMultistepScheduler = _stock.DPMSolverMultistepScheduler
