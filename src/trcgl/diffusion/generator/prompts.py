"""The conditioning of the generator: a text that names the findings and the view, and learned tokens appended to it.

TRCGL-Net, figure 1b (arXiv 2607.00975): the frozen text encoder turns the description into E_text and the empty text
into E_empty; the same learnable prompt tokens P are appended to both, [E_text, P] and [E_empty, P], and the two are
combined by classifier-free guidance.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from trcgl.diffusion.generator.rows import TrainingRows
from trcgl.diffusion.generator.wording import Wording, prompt_text
from trcgl.runtime.files import read_tensors
from trcgl.runtime.logging import get_logger

log = get_logger("diffusion")

NO_FINDING = "no finding"
"""The name of P_0 in a token file."""
OWN = "finding: "
BATCH = 16
"""Texts that are encoded together."""


def prompts_of(rows: TrainingRows, wording: Wording, phrases: Mapping[str, str]) -> list[str]:
    """The prompt of every row."""
    known = zip(rows.projections, rows.findings, rows.patient_words, strict=True)
    return [prompt_text(wording, view, findings, phrases, patient) for view, findings, patient in known]


def report_cut_prompts(tokenizer: Any, prompts: Sequence[str]) -> int:
    """Count the prompts that are longer than the text encoder's input, and report them in the log.

    Their last, rarest findings are cut off. The learned tokens of a finding are appended after the text, so they stay.
    """
    longest = tokenizer.model_max_length
    cut = sum(len(ids) > longest for ids in tokenizer(list(prompts), truncation=False, verbose=False).input_ids)
    if cut:
        log.warning(
            "%d of %d prompts are longer than the %d tokens that the text encoder reads; their last findings are cut",
            cut, len(prompts), longest,
        )  # fmt: skip
    return cut


@torch.no_grad()
def text_embeddings(
    tokenizer: Any,
    text_encoder: nn.Module,
    texts: Sequence[str],
    *,
    kept_on: str | None = None,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Embeddings E of texts, padded to the encoder's length as Stable Diffusion does.

    Batches are padded to a fixed size, so that a text's embedding does not depend on the other texts.

    Args:
        texts: at least one.
        kept_on: device of the result; None: the encoder's.
        dtype: of the result.

    Returns:
        [len(texts), tokens, width].
    """
    device = next(text_encoder.parameters()).device
    embeddings = torch.empty(0)
    for start in range(0, len(texts), BATCH):
        chunk = list(texts[start : start + BATCH])
        ids = token_ids(tokenizer, chunk + [""] * (BATCH - len(chunk)))
        part = text_encoder(ids.to(device))[0][: len(chunk)]
        if start == 0:
            embeddings = torch.empty(len(texts), *part.shape[1:], device=kept_on or device, dtype=dtype)
        embeddings[start : start + len(chunk)] = part
    return embeddings


def token_ids(tokenizer: Any, texts: Sequence[str]) -> Tensor:
    """int64 [len(texts), tokens]: padded or cut to the encoder's length."""
    encoded = tokenizer(
        list(texts), padding="max_length", max_length=tokenizer.model_max_length, truncation=True, return_tensors="pt"
    )
    return encoded.input_ids


SHARED, PER_FINDING, PER_FINDING_WITH_SHARED = "shared", "per_finding", "per_finding_with_shared"


class PromptTokens(nn.Module):
    """The learned tokens P of an image: a part that all images share, a part that depends on its findings, or both.

    The part that depends on the findings is a sum: P_0, which belongs to an image without any finding, plus an offset
    D_f for each finding f. A mean over the findings would weaken each finding, the more findings an image has.

    Attributes:
        shared: [shared count, width].
        by_finding: one parameter [own count, width] for each finding (D_f) and one for "no finding" (P_0); empty if all
            tokens are shared.
    """

    def __init__(self, shared: Tensor, by_finding: Mapping[str, Tensor]):
        super().__init__()
        self.shared = nn.Parameter(shared)
        self.names = list(by_finding)
        self.by_finding = nn.ParameterList([nn.Parameter(by_finding[name]) for name in self.names])

    @classmethod
    def beside(
        cls, empty: Tensor, count: int, sharing: str, findings: Sequence[str], generator: torch.Generator
    ) -> "PromptTokens":
        """Initialise the tokens: the last tokens of the empty text plus noise (for D_f the noise alone).

        The noise has the standard deviation of the entries of E_empty. With less noise, the U-Net cannot distinguish
        the findings by their tokens, and each finding is learned a hundred steps later.

        Args:
            empty: E_empty, [tokens, width].
            count: number of tokens per image.
            sharing: shared | per_finding | per_finding_with_shared (half of the tokens each; with an odd `count`, the
                part per finding has one more).
            findings: the findings that an image may have.
        """
        empty = empty.float().cpu()
        common = {SHARED: count, PER_FINDING: 0, PER_FINDING_WITH_SHARED: count // 2}[sharing]
        rows = empty[(torch.arange(count) - count) % len(empty)]

        def noise(part: Tensor) -> Tensor:
            return empty.std() * torch.randn(part.shape, generator=generator)

        shared = rows[:common] + noise(rows[:common])
        by_finding = {}
        if common < count:
            by_finding = {name: noise(rows[common:]) for name in findings}
            by_finding[NO_FINDING] = rows[common:] + noise(rows[common:])
        return cls(shared, by_finding)

    def of(self, findings: Sequence[Sequence[str]]) -> Tensor:
        """[len(findings), count, width]: the tokens of images with these findings; unknown names add nothing."""
        shared = self.shared.expand(len(findings), -1, -1)
        if not self.names:
            return shared
        parts = torch.zeros(len(findings), len(self.names))
        parts[:, self.names.index(NO_FINDING)] = 1
        for row, present in enumerate(findings):
            for name in present:
                if name in self.names:
                    parts[row, self.names.index(name)] = 1
        own = torch.einsum("bf,fnw->bnw", parts.to(self.shared.device), torch.stack(list(self.by_finding)))
        return torch.cat([shared, own], dim=1)

    def append(self, embeddings: Tensor, findings: Sequence[Sequence[str]]) -> Tensor:
        """[B, tokens, width] -> [B, tokens + count, width] in the dtype of `embeddings`."""
        return torch.cat([embeddings, self.of(findings).to(embeddings.dtype)], dim=1)

    def save(self, path: str | Path) -> None:
        """Safetensors: `shared`, `finding: <name>` for each finding (D_f), and `finding: no finding` (P_0)."""
        tensors = {f"{OWN}{name}": tensor for name, tensor in zip(self.names, self.by_finding, strict=True)}
        save_file({name: t.detach().cpu().contiguous() for name, t in {"shared": self.shared, **tensors}.items()}, path)

    @classmethod
    def load(cls, path: str | Path) -> "PromptTokens":
        tensors = read_tensors(path, ["shared"])
        return cls(tensors.pop("shared"), {name.removeprefix(OWN): tensor for name, tensor in sorted(tensors.items())})


def guided_embeddings(
    pipeline: Any, tokens: PromptTokens, prompts: Sequence[str], findings: Sequence[Sequence[str]]
) -> tuple[Tensor, Tensor]:
    """`prompt_embeds` and `negative_prompt_embeds` for a stock StableDiffusionPipeline: [E_text, P] and [E_empty, P].

    After the empty text, P is that of an image without findings. If all images share P, both are the same.

    Args:
        findings: the findings that each prompt names; P depends on them.

    Returns:
        Two tensors [len(prompts), tokens + count, width] in the U-Net's dtype.
    """
    texts = list(dict.fromkeys(prompts))
    embedded = text_embeddings(pipeline.tokenizer, pipeline.text_encoder, [*texts, ""]).to(pipeline.unet.dtype)
    places = [texts.index(prompt) for prompt in prompts]
    with torch.no_grad():
        positive = tokens.append(embedded[places], findings)
        return positive, tokens.append(embedded[-1:].expand(len(places), -1, -1), [()] * len(places))
