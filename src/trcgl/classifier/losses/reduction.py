"""How per-class terms become one number, the same way for every loss."""

from torch import Tensor


def split_unknown(targets: Tensor) -> tuple[Tensor, Tensor]:
    """Targets with unknown as 0, and a mask that is 1 where the target is known; both [B, C]."""
    return targets.nan_to_num(0.0), (~targets.isnan()).to(targets.dtype)


def sum_classes_mean_batch(terms: Tensor, known: Tensor, sample_weight: Tensor) -> Tensor:
    """[B, C] terms -> scalar: unknown masked, summed over classes, weighted and averaged over the batch."""
    return ((terms * known).sum(dim=1) * sample_weight).mean()
