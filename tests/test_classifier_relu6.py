"""ReLU6 in place against torch's own: the same bits, forward and backward, and no copy of the input."""

import pytest
import timm
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from trcgl.classifier.network.backbone import create_backbone
from trcgl.classifier.network.relu6 import ReLU6, quicken_relu6


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_values_and_gradients_are_torchs_own(kind: torch.dtype):
    """At the bounds, too: those are in the data."""
    values = torch.tensor([-3.0, -0.0, 0.0, 1e-30, 2.5, 6.0, 6.25, float("inf"), float("nan")], dtype=kind)
    model = nn.Sequential(nn.ReLU6(inplace=True))
    quicken_relu6(model)
    found = []
    for one in (model[0], nn.ReLU6()):
        x = values.clone().requires_grad_()
        result = one(x * 1)
        (gradient,) = torch.autograd.grad(result, [x], torch.arange(1.0, 10.0, dtype=kind))
        found.append((result.detach(), gradient))
    for ours, theirs in zip(*found, strict=True):
        assert torch.equal(torch.nan_to_num(ours, nan=99), torch.nan_to_num(theirs, nan=99))


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "mobilenetv1_100", "mobilenetv2_050"])
def test_backbones_that_have_it_train(name: str):
    """None of them changes its result in place."""
    model = create_backbone(name, {}).train()
    assert any(isinstance(module, ReLU6) for module in model.modules())
    model(torch.randn(2, 1, 64, 64)).sum().backward()


class Clones(TorchDispatchMode):
    """Counts copies of whole tensors."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += "clone" in str(func)
        return func(*args, **(kwargs or {}))


def test_nothing_is_copied():
    own = create_backbone("tf_efficientnet_lite0", {}).train()
    plain = timm.create_model("tf_efficientnet_lite0", num_classes=0, global_pool="", in_chans=1).train()
    copies = []
    for model in (own, plain):
        with Clones() as clones:
            model(torch.randn(2, 1, 32, 32))
        copies.append(clones.count)
    assert copies[0] == 0
    assert copies[1] > 30


def test_other_activations_stay_what_they_are():
    model = nn.Sequential(nn.ReLU6(), nn.ReLU6(inplace=True), nn.ReLU(inplace=True), nn.Hardtanh(inplace=True))
    quicken_relu6(model)
    assert [type(module) for module in model] == [nn.ReLU6, ReLU6, nn.ReLU, nn.Hardtanh]
    with torch.no_grad():
        x = torch.tensor([7.0])
        assert model[1](x) is x
