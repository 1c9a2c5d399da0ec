"""A class for every patch from a frozen checkpoint, at the size of the picture."""

import numpy as np
import pytest
import torch
from torch import nn

from hfkit.baselines import PatchProbe
from hfkit.baselines.frozen.linear import measure_spread, unscale
from hfkit.baselines.frozen.patch_probe import Painter, find_majorities
from hfkit.errors import UserError
from hfkit.tasks import ImageClassification, SemanticSegmentation
from tests.tiny import images, masks


def test_a_random_checkpoint_tells_bright_shapes_from_their_ground(tmp_path):
    task = SemanticSegmentation(dataset=masks.mask_folder(tmp_path / "data"))
    rows = task.load()
    probe = PatchProbe(masks.segformer(tmp_path / "checkpoint"))
    found = probe.answers(task, rows)
    assert [answer.ids().shape for answer in found.predictions] == [(28, 36)] * 4
    score = task.judge.score(found.predictions, task.rows.references(rows["test"]))["mean_iou"]
    assert score > 0.6 and found.facts["validation"] > 0.6  # the most frequent class everywhere has 0.26
    assert found.facts["map"] in ([8, 8], [4, 4]) and found.facts["patches"] == 12 * np.prod(found.facts["map"])
    again = probe.predict(task, rows)
    assert all((one.ids() == other.ids()).all() for one, other in zip(found.predictions, again, strict=True))


def test_a_patch_has_the_class_of_most_of_its_pixels():
    gold = np.array([[0, 0, 1, 255], [0, 1, 1, 255], [2, 2, 255, 255], [255, 2, 255, 255], [2, 1, 255, 255]], np.uint8)
    assert find_majorities(gold, (2, 2)).tolist() == [[0, 1], [2, 255]]
    assert find_majorities(gold[:2], (2, 4)).tolist() == gold[:2].tolist()


def test_logits_of_patches_are_enlarged_and_not_their_classes(tmp_path):
    """Between a place with a logit of 3 and one of -1 the border is nearer to the weaker one."""
    task = SemanticSegmentation(dataset=masks.mask_folder(tmp_path / "data", train=2, validation=2, test=2))
    probe = nn.Linear(1, 3)
    with torch.no_grad():
        probe.weight.copy_(torch.tensor([[1.0], [0.0], [-9.0]]))
        probe.bias.copy_(torch.tensor([0.0, 0.0, -99.0]))
    painter = Painter(task, task.load().target)
    painted = painter.paint(probe, torch.tensor([[[3.0, -1.0]]]), (32, 2)).ids()
    assert painted.shape == (2, 32) and painted[0].tolist() == [0] * 20 + [1] * 12


def test_a_model_of_standardised_features_is_turned_into_one_of_plain_features():
    torch.manual_seed(0)
    inputs, linear = torch.randn(20, 4) * torch.tensor([1.0, 5.0, 0.0, 0.1]) + 3, nn.Linear(4, 2)
    mean, spread = measure_spread(inputs)
    assert torch.allclose(unscale(linear, mean, spread)(inputs), linear((inputs - mean) / spread), atol=1e-5)


def test_tasks_of_other_answers_are_refused(tmp_path):
    task = ImageClassification(dataset=images.image_folder(tmp_path / "images"))
    with pytest.raises(UserError, match="patch probe"):
        PatchProbe(images.resnet(tmp_path / "resnet")).answers(task, task.load())
