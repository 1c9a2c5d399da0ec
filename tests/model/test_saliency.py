"""The places that an answer rests on: where the class is, gone with the weights, always the same, without a trace."""

import pytest
import torch
from torch.nn import functional
from transformers import (
    BeitConfig,
    BeitForImageClassification,
    BertConfig,
    BertForSequenceClassification,
    Dinov2Config,
    Dinov2ForImageClassification,
    ResNetConfig,
    ResNetForImageClassification,
    ViTConfig,
    ViTForImageClassification,
)

from hfkit.contract.target import Labels
from hfkit.data.images.batches import channels_of, scale_of
from hfkit.errors import UserError
from hfkit.model.saliency import Explainer, find_grid, find_map, find_places
from hfkit.tasks import ImageClassification
from tests.tiny import families

SIDE, PATCH = 32, 8  # pixels
VIT = {"hidden_size": 32, "num_attention_heads": 4, "num_hidden_layers": 3, "intermediate_size": 64}
VIT |= {"image_size": SIDE, "patch_size": PATCH, "num_labels": 3, "initializer_range": 0.1}
CONVOLUTIONS = ResNetConfig(embedding_size=16, hidden_sizes=[16, 32], depths=[1, 1], layer_type="basic", num_labels=3)


def patched(count: int, seed: int):
    """Pictures of noise with a bright patch in one of four corners, its colour (the class), and its corner."""
    draw = torch.Generator().manual_seed(seed)
    pictures = 0.5 * torch.randn(count, 3, SIDE, SIDE, generator=draw)
    colours, corners = (torch.randint(0, many, (count,), generator=draw) for many in (3, 4))
    for picture, colour, corner in zip(pictures, colours, corners.tolist(), strict=True):
        upper, left = ((SIDE - PATCH) * side for side in divmod(corner, 2))
        picture[colour, upper : upper + PATCH, left : left + PATCH] += 2.5
    return pictures, colours, corners


def trained(model):
    """The model, after it has learned the colours of patches, in evaluation."""
    torch.manual_seed(0)
    pictures, colours, _ = patched(512, 0)
    optimizer = torch.optim.AdamW(model.train().parameters(), 2e-3)
    for _ in range(120):
        batch = torch.randint(0, len(pictures), (32,))
        loss = functional.cross_entropy(model(pixel_values=pictures[batch]).logits, colours[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.zero_grad(set_to_none=True)
    return model.eval()


def count_hooks(model):
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())


def build(kind, config):
    torch.manual_seed(0)
    return kind(config)


def logits_of(output):
    return output["logits"]


def of_classes(classes):
    return lambda output: output["logits"].gather(1, classes[:, None])[:, 0] - output["logits"].mean(1)


@pytest.fixture(scope="module")
def convolutions():
    return trained(build(ResNetForImageClassification, CONVOLUTIONS))


@pytest.fixture(scope="module")
def attention():
    return trained(build(Dinov2ForImageClassification, Dinov2Config(**VIT)))


def assert_places_are_found(model, way):
    pictures, colours, corners = patched(64, 1)
    explainer = Explainer.of(model, pictures, logits_of)
    assert explainer.way == way
    maps = explainer.maps(pictures, of_classes(colours))
    assert maps.shape == (64, 4, 4) and maps.min() >= 0 and maps.amax((1, 2)).eq(1).all()
    whole = maps.sum((1, 2))
    quarters = maps.unflatten(1, (2, 2)).unflatten(3, (2, 2)).sum((2, 4)).flatten(1) / whole[:, None]
    assert (quarters.argmax(1) == corners).float().mean() >= 0.95
    assert quarters.gather(1, corners[:, None]).mean() >= 0.4
    patches = maps.flatten(1).gather(1, (corners // 2 * 12 + corners % 2 * 3)[:, None])[:, 0] / whole
    assert patches.mean() >= 3 / 16  # three times its share of the picture


@pytest.mark.slow
def test_the_places_are_those_of_the_class(convolutions, attention):
    assert_places_are_found(convolutions, "map")
    assert_places_are_found(attention, "attention")


@pytest.mark.slow
def test_a_head_that_reads_the_mean_of_the_places_is_explained_by_their_map():
    model = trained(build(BeitForImageClassification, BeitConfig(**VIT, use_absolute_position_embeddings=True)))
    assert_places_are_found(model, "map")


@pytest.mark.parametrize("which", ["convolutions", "attention"])
def test_other_weights_look_elsewhere(which, request):
    """Adebayo et al. 2018: a map that stays when the weights are gone shows the picture and not the model."""
    model = request.getfixturevalue(which)
    pictures, colours, _ = patched(32, 1)

    def maps_of(one):
        return Explainer.of(one, pictures, logits_of).maps(pictures, of_classes(colours)).flatten(1)

    torch.manual_seed(1)
    fresh = type(model)(model.config).eval()
    ours, others = maps_of(model), maps_of(fresh)
    alike = functional.cosine_similarity(ours - ours.mean(1, keepdim=True), others - others.mean(1, keepdim=True))
    assert alike.abs().mean() < 0.5


@pytest.mark.parametrize("which", ["convolutions", "attention"])
def test_a_map_depends_on_its_own_picture_alone_and_is_always_the_same(which, request):
    model = request.getfixturevalue(which)
    pictures, colours, _ = patched(9, 2)
    explainer = Explainer.of(model, pictures, logits_of)
    whole = explainer.maps(pictures, of_classes(colours))
    assert torch.equal(whole, explainer.maps(pictures, of_classes(colours)))
    again = Explainer.of(model, pictures[:1], logits_of)
    for row in range(len(pictures)):
        one = again.maps(pictures[row : row + 1], of_classes(colours[row : row + 1]))
        torch.testing.assert_close(one[0], whole[row], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("which", ["convolutions", "attention"])
def test_the_model_is_left_as_it_was(which, request):
    model = request.getfixturevalue(which)
    pictures, colours, _ = patched(4, 3)
    Explainer.of(model, pictures, logits_of).maps(
        pictures, of_classes(colours)
    )  # transformers hooks attention for good
    hooks = count_hooks(model)
    model.train()
    first, *_ = model.children()
    first.eval()  # as a frozen part is
    learning = next(model.parameters())
    learning.grad, learning.requires_grad = torch.ones_like(learning), False
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    implementation, generator = model.config._attn_implementation, torch.get_rng_state()
    with torch.inference_mode():  # as where a saved model answers
        Explainer.of(model, pictures, logits_of).maps(pictures, of_classes(colours))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert [module.training for module in model.modules()] == modes
    assert torch.equal(learning.grad, torch.ones_like(learning)) and not learning.requires_grad
    assert all(parameter.grad is None for parameter in model.parameters() if parameter is not learning)
    assert count_hooks(model) == hooks
    assert model.config._attn_implementation == implementation
    assert torch.equal(torch.get_rng_state(), generator)
    learning.grad, learning.requires_grad = None, True
    model.eval()


def test_a_failure_leaves_the_model_as_it_was_too(convolutions):
    pictures, *_ = patched(2, 4)
    explainer = Explainer.of(convolutions, pictures, logits_of)
    with pytest.raises(UserError, match="it fails"):
        explainer.maps(pictures, lambda output: output["logits"][:, 99])
    assert count_hooks(convolutions) == 0
    assert not any(module.training for module in convolutions.modules())


@pytest.mark.slow
def test_the_map_of_convolutions_is_the_one_of_captum(convolutions):
    from captum.attr import LayerGradCam

    pictures, colours, _ = patched(8, 5)
    theirs = LayerGradCam(lambda given: convolutions(given).logits, convolutions.resnet.encoder.stages[1].layers[0])
    expected = theirs.attribute(pictures, colours, relu_attributions=True).detach()[:, 0]
    ours = Explainer.of(convolutions, pictures, logits_of).maps(
        pictures, lambda output: output["logits"].gather(1, colours[:, None])[:, 0]
    )
    torch.testing.assert_close(ours, expected / expected.amax((1, 2), keepdim=True), atol=1e-6, rtol=1e-5)


def test_tokens_that_a_picture_does_not_reach_are_no_places():
    """4 registers and a class token before 32 places, in a picture that is twice as wide as tall."""
    model = build(ViTForImageClassification, ViTConfig(**VIT | {"image_size": (32, 64)})).eval()
    pictures = torch.randn(2, 3, 32, 64, generator=torch.Generator().manual_seed(0))
    explainer = Explainer.of(model, pictures, logits_of)
    assert explainer.places.tolist() == [False] + [True] * 32
    assert explainer.maps(pictures, lambda output: output["logits"][:, 0]).shape == (2, 4, 8)


def test_a_grid_has_the_shape_of_the_picture():
    assert find_grid(196, (224, 224)) == (14, 14)
    assert find_grid(32, (64, 128)) == (4, 8)
    assert find_grid(197, (224, 224)) is None


def test_tokens_whose_number_alone_looks_like_a_grid_are_no_places():
    """Latents are 4 x 4 in number, but no picture has reached them; and 25 tokens are no merged grid of 64."""
    latents = torch.ones(2, 16, 8)
    assert find_places(latents, (32, 32)) is None
    assert find_map(latents, None, (32, 32)) is None
    grid = torch.ones(64, dtype=torch.bool)
    assert find_map(torch.ones(2, 25, 8), grid, (32, 32)) is None
    assert find_map(torch.ones(2, 17, 8), grid, (32, 32)).shape == (2, 8, 4, 4)  # merged, under a class token


def test_a_model_without_places_is_refused_in_one_line():
    config = BertConfig(vocab_size=9, hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=8)
    with pytest.raises(UserError, match="cannot be found") as refused:
        Explainer.of(BertForSequenceClassification(config), torch.zeros(1, 3, 16, 16), logits_of)
    assert "\n" not in str(refused.value)


@pytest.mark.slow
@pytest.mark.parametrize(
    "family", [one for one in families.FAMILIES + families.OTHERS if one.modality == "image"], ids=lambda one: one.name
)
def test_every_family_of_images_is_explained(family, tmp_path):
    codec = ImageClassification().codec(family.save(family.pretrained(), tmp_path), Labels(("a", "b", "c")))
    model, scale = codec.model().eval(), scale_of(codec.processor)
    pictures = torch.randn((4, channels_of(codec.processor), *scale.size), generator=torch.Generator().manual_seed(0))
    explainer = Explainer.of(model, pictures, logits_of)
    summarised = family.name in ("ViT", "DeiT", "DeiT, distilled", "DINOv2", "DINOv2 with registers")
    assert explainer.way == ("attention" if summarised else "map")
    maps = explainer.maps(pictures, lambda output: output["logits"].square().sum(1))
    assert maps.shape[1] == maps.shape[2] >= 2
    assert maps.isfinite().all() and set(maps.amax((1, 2)).tolist()) <= {0.0, 1.0}
