"""Shares that TensorFlow keeps are not dropped: running statistics of many batches, and what the head reads."""

import pytest
import torch
from torch import nn
from transformers import AutoModelForImageClassification, MobileNetV1Config, MobileNetV2Config, ResNetConfig

from hfkit.model.weights import load_model

CONFIGS = {
    "MobileNetV1": MobileNetV1Config(image_size=32, depth_multiplier=0.25, num_labels=2),
    "MobileNetV2": MobileNetV2Config(image_size=32, depth_multiplier=0.1, num_labels=2),
}


def norms(model: nn.Module) -> list[nn.BatchNorm2d]:
    return [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("pretrained", [True, False])
def test_a_batch_moves_statistics_by_a_tenth(name, pretrained, tmp_path, capsys):
    stock = AutoModelForImageClassification.from_config(CONFIGS[name])
    stock.save_pretrained(tmp_path)
    model = load_model(
        AutoModelForImageClassification, str(tmp_path), f"{name} {pretrained}", {}, pretrained=pretrained
    )
    assert capsys.readouterr().out.startswith(f"{name} {pretrained}: statistics of BatchNorm would be 99.")
    first = norms(model)[0]
    inputs = []
    first.register_forward_pre_hook(lambda module, args: inputs.append(args[0]))
    before = first.running_mean.clone()
    model.train()(pixel_values=torch.randn(4, 3, 32, 32))
    mean = inputs[0].mean((0, 2, 3)).detach()
    torch.testing.assert_close(first.running_mean, 0.9 * before + 0.1 * mean)
    assert {norm.momentum for norm in norms(stock)} != {0.1} == {norm.momentum for norm in norms(model)}


@pytest.mark.parametrize(("name", "published", "meant"), [("MobileNetV1", 0.999, 0.001), ("MobileNetV2", 0.8, 0.2)])
def test_the_head_drops_what_was_not_to_be_kept(name, published, meant, tmp_path, capsys):
    assert CONFIGS[name].classifier_dropout_prob == published
    AutoModelForImageClassification.from_config(CONFIGS[name]).save_pretrained(tmp_path)
    model = load_model(AutoModelForImageClassification, str(tmp_path), f"{name} dropping", {})
    assert model.dropout.p == model.config.classifier_dropout_prob == meant
    assert f"{name} dropping: its head would drop {published:.1%} of its input" in capsys.readouterr().out
    # A model that was mended is left alone.
    model.save_pretrained(tmp_path)
    again = load_model(AutoModelForImageClassification, str(tmp_path), f"{name} mended", {})
    assert again.dropout.p == meant and "would drop" not in capsys.readouterr().out


def test_a_model_with_slow_statistics_stays_as_it_is(tmp_path, capsys):
    config = ResNetConfig(embedding_size=8, hidden_sizes=[8, 8], depths=[1, 1], num_labels=2)
    AutoModelForImageClassification.from_config(config).save_pretrained(tmp_path)
    model = load_model(AutoModelForImageClassification, str(tmp_path), "slow", {})
    assert {norm.momentum for norm in norms(model)} == {0.1}
    assert "BatchNorm" not in capsys.readouterr().out
