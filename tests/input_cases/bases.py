"""Base generators that are not whole, do not belong together, or are of another family."""

import shutil
from pathlib import Path

import torch

from tests.input_cases.base_spoiling import (
    GROUP,
    NETWORKS,
    SCHEDULER,
    STAGE,
    TEXT,
    TOKENIZER,
    UNET,
    VAE,
    all_named,
    base,
    case,
    configured,
    fill,
    first,
    rebuilt,
    renamed,
    tensors,
)
from tests.input_cases.case import Case
from tests.input_cases.spoiling import both, cut, delete, params, put
from tests.tiny_base import stock

BASES = (
    Case(
        GROUP,
        "no folder",
        STAGE,
        params(diffusion__base="./none"),
        "'diffusion.base': no folder 'none'; give a diffusers folder, a hub id owner/name, or null to leave stage one out",
    ),
    Case(
        GROUP,
        "a single checkpoint file",
        STAGE,
        both(put("sd.safetensors", b"x"), params(diffusion__base="sd.safetensors")),
        "'diffusion.base': 'sd.safetensors' is a file; give a diffusers folder (...from_single_file(...)...)",
    ),
    *(
        case(f"model_index.json {what}", "'base' is not a diffusers pipeline (no readable model_index.json)", change)
        for what, change in {
            "missing": delete("model_index.json"),
            "that is not JSON": put("model_index.json", "{"),
            "that is a list": put("model_index.json", "[]"),
        }.items()
    ),
    *(
        case(
            f"a {kind}",
            f"'base' holds a {kind}; a StableDiffusionPipeline is needed",
            configured("model_index", _class_name=kind),
        )
        for kind in (
            "StableDiffusionXLPipeline",
            "StableDiffusion3Pipeline",
            "FluxPipeline",
            "StableDiffusionInpaintPipeline",
        )
    ),
    *(
        case(
            f"model_index.json names no {part}",
            f"base/model_index.json names no {part}; copy the whole base",
            configured("model_index", **{part: value}),
        )
        for part, value in {"unet": ..., "tokenizer": [None, None], "scheduler": "DDIMScheduler"}.items()
    ),
    *(
        case(
            f"model_index.json says that the {part} is a {kind}",
            f"base/model_index.json says that the {part} is a {kind}; needed: {needed}",
            configured("model_index", **{part: ["diffusers", kind]}),
        )
        for part, kind, needed in (
            ("unet", "UNet2DModel", "UNet2DConditionModel"),
            ("vae", "AutoencoderTiny", "AutoencoderKL"),
            ("vae", "AsymmetricAutoencoderKL", "AutoencoderKL"),
            ("text_encoder", "BertModel", "CLIPTextModel"),
            ("text_encoder", "CLIPTextModelWithProjection", "CLIPTextModel"),
        )
    ),
    case(
        "a part of its own code",
        "the unet of 'base' is a UNet2DConditionModel of its own code ('my_unet'), which is never run; ...",
        configured("model_index", unet=["my_unet", "UNet2DConditionModel"]),
    ),
    *(
        case(f"no folder {part}", f"'base' has no folder {part}; copy the whole base", delete(part))
        for part in (*NETWORKS, "tokenizer", "scheduler")
    ),
    *(
        case(f"{name}.json missing", f"base/{name}.json is missing; copy the whole base", delete(f"{name}.json"))
        for name in ("unet/config", "text_encoder/config", SCHEDULER)
    ),
    case(
        "a configuration that is not JSON", "base/vae/config.json is not JSON (...); ...", put("vae/config.json", "{")
    ),
    case(
        "a configuration that is a list",
        "base/unet/config.json is not a JSON object; copy it again",
        put("unet/config.json", "[]"),
    ),
    case(
        "a configuration that cannot be built",
        "the unet of 'base' cannot be loaded; copy the whole base again (...)",
        configured("unet/config", block_out_channels=[8]),
    ),
    case(
        "the configuration of another network",
        "base/vae/config.json says that the vae is a VQModel; needed: AutoencoderKL",
        configured("vae/config", _class_name="VQModel"),
    ),
    case(
        "the configuration of another text encoder",
        "base/text_encoder/config.json says model_type 'bert'; needed: clip_text_model (a CLIPTextModel)",
        configured("text_encoder/config", model_type="bert"),
    ),
    *(
        case(f"no weights of the {part}", f"base/{part} has no ...safetensors; ...", delete(f"{name}.safetensors"))
        for part, name in NETWORKS.items()
    ),
    *(
        case(
            f"weights of the {part} as {suffix} alone",
            f"base/{part} has its weights only as {Path(name).name}{suffix}, which is not loaded (a pickle can run "
            "code); save it once in safetensors: ...",
            renamed(f"{name}.safetensors", f"{name}{suffix}"),
        )
        for part, name, suffix in (("unet", UNET, ".bin"), ("text_encoder", TEXT, ".bin"), ("vae", VAE, ".ckpt"))
    ),
    case(
        "several variants of the weights and no usual file",
        "base/unet has the weights ema and full but no diffusion_pytorch_model.safetensors; rename one of them to that",
        renamed(f"{UNET}.safetensors", f"{UNET}.ema.safetensors"),
        put(f"{UNET}.full.safetensors", b""),
    ),
    Case(
        GROUP,
        "weights cut short",
        STAGE,
        base(cut(f"{UNET}.safetensors")),
        f"base/{UNET}.safetensors: damaged or cut short (...); replace it with an intact one",
    ),
    *(
        Case(
            GROUP,
            f"a pointer of Git LFS instead of {what}",
            STAGE,
            base(put(file, "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")),
            f"base/{file}: a pointer of Git LFS, not the file; fetch it with `git lfs pull`",
        )
        for what, file in (
            ("weights", f"{TEXT}.safetensors"),
            ("the tokenizer", "tokenizer/tokenizer.json"),
            ("a configuration", "unet/config.json"),
        )
    ),
    *(
        case(
            f"the {part} {what}",
            f"the {part} of 'base' {seen}; give a base whose files belong together",
            tensors(name, change),
        )
        for part, name in NETWORKS.items()
        for what, seen, change in (
            ("lacks a tensor", "lacks the tensor ...", lambda values: values.pop(first(values))),
            (
                "has a tensor of another shape",
                "has another shape than its config.json says in the tensor ...",
                lambda values: values.update({first(values): torch.zeros(3, 5)}),
            ),
            (
                "has an unknown tensor",
                "has a tensor that its config.json does not know: extra",
                lambda values: values.update(extra=torch.ones(2)),
            ),
            ("has other names", "lacks the tensor ... (and ... more)", all_named("module.")),
        )
    ),
    *(
        case(
            f"weights of the {part} that are {number}",
            f"the {part} of 'base' has numbers that are not finite in ... (read as float32); copy the whole base again",
            tensors(name, fill(number)),
        )
        for part, name, number in (
            ("unet", UNET, float("nan")),
            ("vae", VAE, float("inf")),
            ("text_encoder", TEXT, float("nan")),
        )
    ),
    case(
        "numbers that overflow before anything is learned",
        "the output of the vae is not finite in float32, before any training; give another base",
        tensors(VAE, lambda values: values["encoder.conv_in.weight"].fill_(3e38)),
    ),
    *(
        case(
            f"an autoencoder of {reads} channels in and {writes} out",
            f"'base' has an autoencoder that reads {reads} channels and writes {writes}; needed: 3 (colour) or 1 (grey), "
            "the same for both",
            rebuilt("vae", "AutoencoderKL", in_channels=reads, out_channels=writes),
        )
        for reads, writes in ((4, 4), (1, 3), (3, 1))
    ),
    case(
        "an autoencoder with other latent channels than the U-Net",
        "'base' has 8 latent channels in its autoencoder but 4 in its U-Net; they must agree",
        rebuilt("vae", "AutoencoderKL", latent_channels=8),
    ),
    case(
        "an autoencoder that shifts its latents",
        "'base' has an autoencoder that shifts its latents by 0.1 (...); give a base of Stable Diffusion 1 or 2, which does not",
        configured("vae/config", shift_factor=0.1),
    ),
    case(
        "an autoencoder that standardises its latents",
        "'base' has an autoencoder with a mean or deviation per latent channel (...); give a base of Stable Diffusion 1 or 2, ...",
        configured("vae/config", latents_mean=[0.0] * 4, latents_std=[1.0] * 4),
    ),
    case(
        "a text encoder that is told where a text ends",
        "'base' has a text encoder that is told where a text ends (use_attention_mask in text_encoder/config.json), "
        "which is not done here; give a base of Stable Diffusion 1 or 2, ...",
        configured("text_encoder/config", use_attention_mask=True),
    ),
    *(
        case(
            f"a tokenizer {what}",
            f"'base' has a tokenizer with {said} but a text encoder of 77 tokens; set model_max_length to 77 in "
            "tokenizer/tokenizer_config.json",
            configured(TOKENIZER, model_max_length=value),
        )
        for what, said, value in (
            ("without model_max_length", "no model_max_length", ...),
            ("of unlimited length", "no model_max_length", 1e30),
            ("longer than the text encoder", "model_max_length 256", 256),
        )
    ),
    case(
        "a tokenizer with more tokens than the text encoder",
        "'base' has a tokenizer with tokens up to number ... but a text encoder that knows 30; they must be of one base",
        tensors(
            TEXT,
            lambda values: values.update(
                {name: value[:30].clone() for name, value in values.items() if name.endswith("token_embedding.weight")}
            ),
        ),
        configured("text_encoder/config", vocab_size=30),
    ),
    case(
        "a tokenizer without a token to pad with",
        "'base' has a tokenizer without a token to pad with (pad_token); ...",
        configured(TOKENIZER, pad_token=None),
    ),
    case(
        "a tokenizer without its words",
        "base/tokenizer has neither tokenizer.json nor vocab.json; copy the whole base",
        delete("tokenizer/tokenizer.json"),
    ),
    case(
        "a tokenizer that cannot be read",
        "tokenizer or scheduler of 'base' cannot be loaded; copy the whole base again (...)",
        put("tokenizer/tokenizer.json", "{}"),
    ),
    *(
        case(
            f"a U-Net with {name}",
            f"base/unet/config.json: the U-Net {what}: {name} is {value!r}; give a base that is steered by text alone",
            configured("unet/config", **{name: value}),
        )
        for name, value, what in (
            ("class_embed_type", "timestep", "is steered by classes"),
            ("num_class_embeds", 14, "is steered by classes"),
            ("addition_embed_type", "text_time", "has conditions besides the text (as SDXL has sizes and crops)"),
            ("encoder_hid_dim", 64, "projects what it attends to (as Kandinsky and DeepFloyd do)"),
            ("time_cond_proj_dim", 256, "is distilled (a latent consistency model)"),
        )
    ),
    *(
        case(
            f"a U-Net that reads {reads} channels",
            f"'base' has a U-Net that reads {reads} channels, 4 of the latent and {reads - 4} of {what}; give a base "
            "that draws from text alone",
            rebuilt("unet", "UNet2DConditionModel", in_channels=reads),
        )
        for reads, what in (
            (9, "a mask and a masked image, for inpainting"),
            (8, "another image, such as one to edit"),
            (5, "a depth map"),
            (7, "more"),
        )
    ),
    case(
        "a U-Net that learns its variance",
        "'base' has a U-Net that reads 4 channels and writes 8 (as one that learns its variance); they must agree",
        rebuilt("unet", "UNet2DConditionModel", out_channels=8),
    ),
    case(
        "a U-Net that attends to another width",
        "'base' has a text encoder of width 16 but a U-Net that attends to 24; they must agree",
        rebuilt("unet", "UNet2DConditionModel", cross_attention_dim=24),
    ),
    *(
        case(
            f"sample_size {value}",
            f"'base' has a U-Net for latents of {value!r} (sample_size in unet/config.json); needed: one whole number, "
            "the side of a square",
            configured("unet/config", sample_size=value),
        )
        for value in ([16, 8], None, 0)
    ),
    case(
        "images of another size",
        "'base' draws 64 px but 'images.diffusion_size' is 32; set it to 64",
        configured("unet/config", sample_size=32),
    ),
    *(
        case(
            f"a {kind}",
            f"'base' has a {kind}, whose noise differs from that of Stable Diffusion 1 and 2; give a base of Stable "
            "Diffusion 1 or 2",
            configured("model_index", scheduler=["diffusers", kind]),
            lambda folder, kind=kind: getattr(stock, kind)().save_pretrained(folder / "scheduler"),
        )
        for kind in ("FlowMatchEulerDiscreteScheduler", "EDMEulerScheduler", "LCMScheduler")
    ),
    case(
        "a scheduler that diffusers does not know",
        "tokenizer or scheduler of 'base' cannot be loaded; copy the whole base again (...)",
        configured("model_index", scheduler=["diffusers", "MyScheduler"]),
    ),
    case(
        "a solver set to flow matching",
        "'base' has a scheduler for flow matching (use_flow_sigmas); give a base of Stable Diffusion 1 or 2",
        configured("model_index", scheduler=["diffusers", "DPMSolverMultistepScheduler"]),
        configured(SCHEDULER, _class_name="DPMSolverMultistepScheduler", use_flow_sigmas=True),
    ),
    *(
        case(
            f"a base that predicts {kind}",
            f"'base' predicts '{kind}', which is not taught here; give a base that predicts epsilon or v_prediction",
            configured(SCHEDULER, prediction_type=kind),
        )
        for kind in ("sample", "flow_prediction", "noise")
    ),
    case(
        "noise predicted although the last timestep is nothing but noise",
        "'base' predicts noise (epsilon) though its last timestep is nothing but noise (rescale_betas_zero_snr), ...",
        configured(SCHEDULER, prediction_type="epsilon", rescale_betas_zero_snr=True),
    ),
    *(
        case(
            f"a noise schedule that {what}",
            "'base' has betas outside 0..1 in scheduler/scheduler_config.json; copy the whole base again",
            configured(SCHEDULER, beta_end=value),
        )
        for what, value in (("is not finite", float("nan")), ("takes more than all", 9.0))
    ),
    *(
        case(
            f"a noise schedule of {what}",
            "'base' has a noise schedule of ... timesteps, and num_train_timesteps is ...; they must agree in "
            "scheduler/scheduler_config.json",
            configured(SCHEDULER, **changes),
        )
        for what, changes in (
            ("no timesteps", {"num_train_timesteps": 0}),
            ("another length", {"trained_betas": [0.1, 0.2]}),
        )
    ),
    *(
        case(
            f"a fine-tuned generator ({name})",
            "'base' is a fine-tuned generator, and its adapters and tokens would be ignored; give the base it was made "
            "from, or merge the adapters first (...)",
            put(name, "{}"),
        )
        for name in ("trcgl.json", "prompt_tokens.safetensors")
    ),
    *(
        case(
            f"adapters beside the weights ({file})",
            f"base/{file} would be ignored; merge these adapters first (...), or give the base without them",
            put(file, b""),
        )
        for file in ("pytorch_lora_weights.safetensors", "unet/pytorch_lora_weights.safetensors")
    ),
    *(
        case(
            f"a {kind} that states no betas",
            f"'base' has a {kind} without beta_start and beta_end in scheduler/scheduler_config.json; write there what "
            "it was trained with (its class has beta_start 0.00085, beta_end 0.012)",
            configured("model_index", scheduler=["diffusers", kind]),
            put(f"{SCHEDULER}.json", "{}"),
        )
        for kind in ("HeunDiscreteScheduler", "KDPM2DiscreteScheduler", "KDPM2AncestralDiscreteScheduler")
    ),
    *(
        case(
            f"a noise schedule with {name} {value}",
            "'base' has a noise schedule that the solver for drawing cannot follow (...); give a base of Stable "
            "Diffusion 1 or 2",
            configured(SCHEDULER, **{name: value}),
        )
        for name, value in (("beta_schedule", "sigmoid"), ("beta_schedule", "laplace"), ("timestep_spacing", "even"))
    ),
    *(
        case(
            f"a scaling factor of {value}",
            f"'base' has an autoencoder whose scaling_factor is {value!r}; needed: a number above 0 (in vae/config.json)",
            configured("vae/config", scaling_factor=value),
        )
        for value in (0, None)
    ),
    *(
        case(
            f"weights of the {part} in {what}",
            f"base/{name}.safetensors holds quantised numbers ({kind} in ...); give them in half or single precision",
            tensors(name, lambda values, dtype=dtype: values.update({k: v.to(dtype) for k, v in values.items()})),
        )
        for part, name, what, kind, dtype in (
            ("unet", UNET, "eight bits", "I8", torch.int8),
            ("text_encoder", TEXT, "eight bits", "I8", torch.int8),
            ("unet", UNET, "a float of eight bits", "F8_E4M3", torch.float8_e4m3fn),
        )
    ),
    Case(
        GROUP,
        "a folder above the base's",
        STAGE,
        both(
            base(),
            lambda folder: shutil.copytree(folder / "base", folder / "above/sd") and None,
            params(diffusion__base="above"),
        ),
        "'diffusion.base': 'above' is not a diffusers pipeline (no readable model_index.json); did you mean 'above/sd'?",
    ),
    Case(
        GROUP,
        "a commit for a folder",
        STAGE,
        both(base(), params(diffusion__base_revision="0a1b2c3")),
        "'diffusion.base_revision': '0a1b2c3' is for a hub id, but 'diffusion.base' is the folder 'base'; set base_revision to null",
    ),
    Case(
        GROUP,
        "lora_layers that match nothing",
        STAGE,
        base(
            rebuilt(
                "unet",
                "UNet2DConditionModel",
                mid_block_type=None,
                down_block_types=["DownBlock2D"] * 2,
                up_block_types=["UpBlock2D"] * 2,
            )
        ),
        "'diffusion.lora_layers': the base's U-Net has no layer of 'attention' (to_q, to_k, to_v, to_out.0); it has: "
        "convolution",
    ),
    Case(
        GROUP,
        "an unknown kind of lora_layers",
        STAGE,
        base(lambda folder: params(diffusion__lora_layers=["atention"])(folder.parent)),
        "'diffusion.lora_layers' has 'atention'; use one or more of: attention, feed_forward, convolution",
    ),
)
