"""Boxes of segments, classified one by one on features of a frozen checkpoint."""

import numpy as np
import pytest
import torch
from PIL import Image as Pillow
from PIL import ImageDraw

from hfkit.baselines import MeanBoxes, RegionProbe
from hfkit.baselines.frozen.region_probe import (
    Looked,
    answer,
    enclose_segments,
    find_neighbours,
    join_boxes,
    match_boxes,
    propose_boxes,
    reach_of,
    read_boxes,
)
from hfkit.errors import UserError
from hfkit.tasks import ObjectDetection, SemanticSegmentation
from tests.tasks.detection.test_families import save, save_shapes
from tests.tiny import masks


@pytest.fixture(scope="module")
def task(tmp_path_factory) -> ObjectDetection:
    """Eight pictures a split."""
    return ObjectDetection(dataset=save_shapes(tmp_path_factory.mktemp("shapes")))


def test_it_finds_more_than_the_mean_boxes(task, tmp_path):
    rows = task.load()
    found = RegionProbe(save("YOLOS", tmp_path / "checkpoint")).answers(task, rows)
    gold = task.rows.references(rows["test"])
    means, ours = (task.judge.score(one, gold) for one in (MeanBoxes().predict(task, rows), found.predictions))
    assert ours["ar100"] > 0.05 > means["ar100"] and ours["map50"] > means["map50"]
    for one, width, height in zip(found.predictions, rows["test"]["width"], rows["test"]["height"], strict=True):
        assert (np.diff(one["scores"]) <= 0).all() and set(one["labels"]) <= set(rows.target.names)
        assert (one["boxes"] >= 0).all() and (one["boxes"][:, 2:] <= [width + 1e-3, height + 1e-3]).all()
        assert one["kept"] == (one["scores"] > 0.5).sum()
    assert found.facts["boxes"] > found.facts["boxes_of_objects"] > 8


def test_segments_are_proposed_by_themselves_and_two_by_two():
    picture = Pillow.new("RGB", (60, 40), (20, 20, 20))
    ImageDraw.Draw(picture).rectangle((10, 10, 19, 29), fill=(220, 40, 40))
    ImageDraw.Draw(picture).rectangle((20, 10, 39, 29), fill=(40, 40, 220))
    wanted = {(10, 10, 20, 30), (20, 10, 40, 30)}
    for times in (1, 10):  # ten times as large it is shrunk first
        large = np.asarray(picture.resize((60 * times, 40 * times), Pillow.Resampling.NEAREST))
        assert wanted <= {tuple(box) for box in (propose_boxes(large) / times).round().tolist()}
    segments = np.array([[0, 0, 1], [2, 2, 1]])
    assert find_neighbours(segments).tolist() == [[0, 1], [0, 2], [1, 2]]
    boxes = enclose_segments(segments)
    assert boxes.tolist() == [[0, 0, 2, 1], [2, 0, 3, 2], [0, 1, 2, 2]]
    assert join_boxes(boxes, np.array([0, 1]), np.array([1, 2])).tolist() == [[0, 0, 3, 2], [0, 0, 3, 2]]


def test_a_box_has_the_class_of_the_object_it_lies_on():
    row = {"boxes": [[0, 0, 10, 10], [40, 40, 60, 60]], "labels": ["b", "a"], "crowd": [False, True]}
    boxes = torch.tensor([[0, 0, 10, 9], [0, 0, 10, 4], [20, 20, 30, 30], [40, 40, 60, 60]], dtype=torch.float32)
    assert match_boxes(boxes, row, {"a": 0, "b": 1}).tolist() == [1, -1, 2, -1]
    assert match_boxes(boxes, {"boxes": [], "labels": []}, {"a": 0}).tolist() == [1] * 4


def test_features_are_read_where_the_box_is_however_the_picture_was_stretched():
    """A map of twice as many columns as rows over a picture that fills three quarters of its width."""
    marked = torch.zeros(1, 8, 16)
    marked[0, 4:, 6:12] = 1.0
    mask = torch.zeros(80, 160)
    mask[:, :120] = 1
    reach = reach_of({"pixel_mask": mask})
    assert reach.tolist() == [0.75, 1.0, 0.75, 1.0] and reach_of({}).tolist() == [1.0] * 4
    inside, outside = (torch.tensor([box]) * reach for box in ([0.5, 0.5, 1.0, 1.0], [0.0, 0.0, 0.4, 0.4]))
    assert read_boxes([marked], inside).mean() > 0.8 and read_boxes([marked, marked], outside).tolist() == [[0.0] * 8]


def test_of_boxes_that_lie_on_one_another_the_surest_is_kept():
    boxes = torch.tensor([[0, 0, 10, 10], [0, 0, 10, 9], [20, 20, 30, 30]], dtype=torch.float32)
    probe = torch.nn.Linear(3, 3)
    with torch.no_grad():
        probe.weight.copy_(torch.eye(3))
        probe.bias.zero_()
    features = torch.tensor([[1.0, 0, 0], [3.0, 0, 0], [0, 2.0, 0]])
    found = answer(probe, Looked(boxes, features), ["a", "b"])
    assert found["labels"] == ["a", "b"] and found["boxes"].tolist() == [[0, 0, 10, 9], [20, 20, 30, 30]]
    assert found["kept"] == 2


def test_tasks_of_other_answers_are_refused(tmp_path):
    task = SemanticSegmentation(dataset=masks.mask_folder(tmp_path / "data", train=2, validation=2, test=2))
    with pytest.raises(UserError, match="region probe"):
        RegionProbe(masks.segformer(tmp_path / "checkpoint")).answers(task, task.load())
