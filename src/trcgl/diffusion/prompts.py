"""What the generator is told: text of the findings and the view, and learned tokens beside it.

TRCGL-Net, figure 1b (arXiv 2607.00975): the frozen text encoder turns the description into E_text and the empty text
into E_empty; the same learnable prompt tokens P are appended to both, [E_text, P] and [E_empty, P], and the two are
combined by classifier-free guidance.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Formatter
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from trcgl.runtime.errors import InputError

NO_FINDING = "no finding"
UNKNOWN_VIEW = "unknown"
FIELDS = ("view", "findings")


def check_template(template: str) -> None:
    """Raise an InputError unless the template uses known fields only, and {findings} among them."""
    try:
        fields = [field for _, field, _, _ in Formatter().parse(template) if field is not None]
    except ValueError as error:
        raise InputError(f"diffusion.prompt_template: '{template}' cannot be parsed ({error})") from None
    unknown = [field for field in fields if field not in FIELDS]
    if unknown or "findings" not in fields:
        wrong = f"unknown field '{{{unknown[0]}}}'" if unknown else "no field '{findings}'"
        raise InputError(f"diffusion.prompt_template: {wrong}; the fields are {{view}} and {{findings}}")


def prompt_text(template: str, projection: str, findings: Sequence[str], phrases: Mapping[str, str]) -> str:
    """The prompt of one image, such as "chest X-ray, PA view, pleural effusion, cardiomegaly"."""
    named = ", ".join(phrases[finding] for finding in findings) or NO_FINDING
    return template.format(view=projection or UNKNOWN_VIEW, findings=named)


@torch.no_grad()
def text_embeddings(tokenizer: Any, text_encoder: nn.Module, texts: Sequence[str], *, batch: int = 16) -> Tensor:
    """Embeddings E of texts, padded to the encoder's length as Stable Diffusion does.

    Batches are filled up to a fixed size, so that a text's embedding does not depend on the other texts.

    Returns:
        float32 [len(texts), tokens, width] on the encoder's device.
    """
    parts = []
    for start in range(0, len(texts), batch):
        chunk = list(texts[start : start + batch])
        ids = token_ids(tokenizer, chunk + [""] * (batch - len(chunk)))
        parts.append(text_encoder(ids.to(next(text_encoder.parameters()).device))[0][: len(chunk)].float())
    return torch.cat(parts)


def token_ids(tokenizer: Any, texts: Sequence[str]) -> Tensor:
    """int64 [len(texts), tokens]: padded, cut at the encoder's length."""
    encoded = tokenizer(
        list(texts), padding="max_length", max_length=tokenizer.model_max_length, truncation=True, return_tensors="pt"
    )
    return encoded.input_ids


class PromptTokens(nn.Module):
    """The learned tokens P, float32 [count, width]."""

    def __init__(self, tokens: Tensor):
        super().__init__()
        self.tokens = nn.Parameter(tokens.detach().clone().float())

    @classmethod
    def beside(cls, empty: Tensor, count: int, generator: torch.Generator) -> "PromptTokens":
        """Tokens that start where the base already understands them: the empty text's last tokens, slightly apart.

        Args:
            empty: E_empty, [tokens, width].
        """
        empty = empty.float().cpu()
        rows = empty[(torch.arange(count) - count) % len(empty)]
        return cls(rows + 0.1 * empty.std() * torch.randn(rows.shape, generator=generator))

    def append(self, embeddings: Tensor) -> Tensor:
        """[B, tokens, width] -> [B, tokens + count, width] in the dtype of `embeddings`."""
        tokens = self.tokens.to(embeddings.dtype).expand(len(embeddings), -1, -1)
        return torch.cat([embeddings, tokens], dim=1)

    def save(self, path: str | Path) -> None:
        save_file({"prompt_tokens": self.tokens.detach().cpu().contiguous()}, path)

    @classmethod
    def load(cls, path: str | Path) -> "PromptTokens":
        return cls(load_file(path)["prompt_tokens"])


def guided_embeddings(pipeline: Any, tokens: PromptTokens, prompts: Sequence[str]) -> tuple[Tensor, Tensor]:
    """`prompt_embeds` and `negative_prompt_embeds` for a stock StableDiffusionPipeline: [E_text, P] and [E_empty, P].

    Returns:
        Two tensors [len(prompts), tokens + count, width] in the U-Net's dtype; the negative rows are all equal.
    """
    texts = list(dict.fromkeys(prompts))
    embedded = text_embeddings(pipeline.tokenizer, pipeline.text_encoder, [*texts, ""]).to(pipeline.unet.dtype)
    places = [texts.index(prompt) for prompt in prompts]
    with torch.no_grad():
        return tokens.append(embedded[places]), tokens.append(embedded[-1:].expand(len(places), -1, -1))
