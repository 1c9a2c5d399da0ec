"""Mixed weights are those of the formula, their mean is the weight itself, and a layer is left as it was."""

import numpy as np
import pytest
import torch
from torch import nn
from transformers import AutoModelForSequenceClassification
from transformers.pytorch_utils import Conv1D

from hfkit.errors import UserError
from hfkit.model.depth import Depths
from hfkit.model.mixout import Mixout, mix
from tests.tiny import images
from tests.tiny import text as tiny


def test_weights_are_mixed_by_the_formula_of_the_paper():
    draw = np.random.default_rng(0)
    weight, pretrained, share = draw.normal(size=(40, 30)), draw.normal(size=(40, 30)), 0.7
    torch.manual_seed(3)
    mask = (torch.rand(40, 30, dtype=torch.float64) < share).numpy()
    expected = (mask * pretrained + (1 - mask) * weight - share * pretrained) / (1 - share)
    given = torch.from_numpy(weight).requires_grad_()
    torch.manual_seed(3)
    found = mix(given, torch.from_numpy(pretrained), share)
    assert np.allclose(found.detach().numpy(), expected)
    found.sum().backward()
    assert np.allclose(given.grad.numpy(), (1 - mask) / (1 - share))
    drawn = torch.stack([mix(given.detach(), torch.from_numpy(pretrained), share) for _ in range(2000)])
    assert (drawn.mean(0) - given.detach()).abs().mean() < 0.1


def test_a_weight_that_has_not_moved_stays():
    weight = torch.randn(5, 5)
    torch.testing.assert_close(mix(weight, weight.clone(), 0.5), weight)


@pytest.mark.parametrize("build", [tiny.bert, tiny.gpt2])
def test_linear_layers_of_blocks_are_mixed_with_what_they_were(build, tmp_path):
    model = AutoModelForSequenceClassification.from_pretrained(build(tmp_path))
    depths, names = Depths.of(model), list(model.state_dict())
    mixout = Mixout(model, depths, 0.5)
    inside = {name for name, module in model.named_modules() if any(module is layer for layer in mixout.layers)}
    linear = {name for name, module in model.named_modules() if isinstance(module, nn.Linear | Conv1D)}
    assert inside == {name for name in linear if 0 < depths.modules[name] < depths.head} and inside < linear
    layer, before = mixout.layers[0], mixout.layers[0].weight.detach().clone()
    with torch.no_grad():
        layer.weight += torch.randn_like(layer.weight)
    inputs = torch.randn(3, layer.weight.shape[0 if isinstance(layer, Conv1D) else 1])
    plain = layer.train()(inputs)
    with mixout.mixing():
        torch.manual_seed(1)
        found = layer(inputs)
        torch.manual_seed(1)
        mixed = mix(layer.weight, before, 0.5)
        mixed = mixed if isinstance(layer, Conv1D) else mixed.T
        torch.testing.assert_close(found, inputs @ mixed + layer.bias)
        assert not torch.allclose(found, plain)
        torch.testing.assert_close(layer.eval()(inputs), plain)
        layer.train().weight.requires_grad_(False)
        torch.testing.assert_close(layer(inputs), plain)
        assert list(model.state_dict()) == names
    torch.testing.assert_close(layer.requires_grad_().train()(inputs), plain)


def test_blocks_without_linear_layers_are_refused(tmp_path):
    from transformers import AutoModelForImageClassification

    model = AutoModelForImageClassification.from_pretrained(images.resnet(tmp_path))
    with pytest.raises(UserError, match="mixout=0.5: .* no pretrained block of ResNetForImageClassification has any"):
        Mixout(model, Depths.of(model), 0.5)
