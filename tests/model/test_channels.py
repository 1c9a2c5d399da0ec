"""A model of one channel answers grey as the model of colours answers grey that is repeated in all of them."""

import copy

import pytest
import torch
from transformers import AutoModelForImageClassification

from hfkit.errors import UserError
from hfkit.model.channels import find_first_convolution, sum_channels
from tests.tiny import images as tiny
from tests.tiny.families import FAMILIES


@pytest.mark.parametrize("make", [tiny.resnet, tiny.vit])
def test_summed_weights_answer_as_repeated_grey(make, tmp_path):
    colours = AutoModelForImageClassification.from_pretrained(make(tmp_path / "colours")).eval()
    grey = copy.deepcopy(colours)
    sum_channels(grey, spreads=[0.2, 0.25, 0.4], spread=0.3)
    picture = torch.rand(2, 1, tiny.SIDE, tiny.SIDE, generator=torch.Generator().manual_seed(0))
    mean = 0.5
    repeated = torch.cat([(picture - mean) / spread for spread in (0.2, 0.25, 0.4)], 1)
    with torch.no_grad():
        expected, found = colours(repeated).logits, grey((picture - mean) / 0.3).logits
    assert torch.allclose(found, expected, atol=1e-5)
    # What is saved is a stock model of one channel.
    grey.save_pretrained(tmp_path / "grey")
    again = AutoModelForImageClassification.from_pretrained(tmp_path / "grey").eval()
    with torch.no_grad():
        assert torch.equal(again((picture - mean) / 0.3).logits, found)


OF_TRANSFORMERS = [family for family in FAMILIES if family.modality == "image" and family.processor is not None]


@pytest.mark.slow
@pytest.mark.parametrize("family", OF_TRANSFORMERS, ids=lambda family: family.name)
def test_every_family_of_pictures_can_read_one_channel(family, tmp_path):
    colours = family.pretrained().eval()
    grey = copy.deepcopy(colours)
    sum_channels(grey, spreads=[1, 1, 1], spread=1)
    picture = torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    side = getattr(getattr(colours.config, "vision_config", colours.config), "image_size", 32)
    picture = picture[..., :side, :side]
    grey.save_pretrained(tmp_path)
    again = AutoModelForImageClassification.from_pretrained(tmp_path).eval()
    with torch.no_grad():
        assert torch.allclose(grey(picture).logits, colours(picture.repeat(1, 3, 1, 1)).logits, atol=1e-5)
        assert torch.equal(again(picture).logits, grey(picture).logits)


def test_a_model_that_says_nothing_of_its_channels_is_refused(tmp_path):
    model = AutoModelForImageClassification.from_pretrained(tiny.timm_resnet(tmp_path))
    with pytest.raises(UserError, match="no single convolution"):
        find_first_convolution(model, "checkpoint 'x'")
