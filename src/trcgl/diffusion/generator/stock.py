"""The stock diffusers classes that are used here.

diffusers exports them lazily and annotates some arguments more narrowly than it accepts them; a type checker would
call every use an error.
"""

from typing import Any

import diffusers

_stock: Any = diffusers
AutoencoderKL = _stock.AutoencoderKL
UNet2DConditionModel = _stock.UNet2DConditionModel
StableDiffusionPipeline = _stock.StableDiffusionPipeline
DDPMScheduler = _stock.DDPMScheduler
DPMSolverMultistepScheduler = _stock.DPMSolverMultistepScheduler
