"""Baselines for pixels: they learn colours and places, and nothing of shapes."""

import numpy as np
import pytest
from PIL import Image as Pillow

from hfkit.baselines import Majority, PixelColours
from hfkit.baselines.pixel_classes import grow, read_numbers, sizes_of
from hfkit.errors import UserError
from hfkit.tasks import ImageClassification, SemanticSegmentation
from tests.tiny import images, masks


@pytest.fixture(scope="module")
def task(tmp_path_factory) -> SemanticSegmentation:
    return SemanticSegmentation(dataset=masks.mask_folder(tmp_path_factory.mktemp("masks")))


def test_the_most_frequent_class_is_everywhere(task):
    rows = task.load()
    answers = Majority().predict(task, rows)
    assert [answer.ids().shape for answer in answers] == [(28, 36)] * 4
    assert all((answer.ids() == 0).all() and answer.names == masks.NAMES for answer in answers)


def test_colours_tell_classes_apart_where_they_do(task):
    rows = task.load()
    gold = task.rows.references(rows["test"])
    scores = [
        task.judge.score(baseline.predict(task, rows), gold)["mean_iou"] for baseline in (Majority(), PixelColours())
    ]
    assert scores[0] < 0.35 and scores[1] > 0.8
    again = PixelColours().answers(task, rows)
    assert task.judge.score(again.predictions, gold)["mean_iou"] == scores[1] and again.facts["pixels"] == 12 * 28 * 36


def test_a_large_picture_is_answered_smaller_and_grown(tmp_path):
    picture = {"bytes": masks.encoded(Pillow.new("RGB", (600, 300), "red")), "path": None}
    numbers = read_numbers(picture, 256)
    assert numbers.shape == (128, 256, 8) and numbers.min() >= 0 and numbers.max() <= 1
    grown = grow(np.arange(6, dtype=np.uint8).reshape(2, 3), 7, 5)
    assert grown.shape == (5, 7) and set(grown.ravel()) == set(range(6)) and (grown[0, 0], grown[-1, -1]) == (0, 5)


def test_sizes_are_those_of_upright_pictures(tmp_path):
    exif = Pillow.Exif()
    exif[0x0112] = 6
    picture, mask = masks.pair(1)
    row = masks.row(mask, picture)
    turned = {
        "image": {"bytes": masks.encoded(picture, exif=exif), "path": None},
        "mask": {"bytes": masks.encoded(mask.transpose(Pillow.Transpose.ROTATE_270)), "path": None},
    }
    rows = {name: [row, turned] for name in ("train", "validation", "test")}
    loaded = SemanticSegmentation(dataset=masks.mask_parquet(tmp_path / "data", rows)).load()
    assert list(sizes_of(loaded["test"])) == [(36, 28), (28, 36)]


def test_tasks_of_other_answers_are_refused(tmp_path):
    task = ImageClassification(dataset=images.image_folder(tmp_path / "images"))
    with pytest.raises(UserError, match="pixel colours"):
        PixelColours().answers(task, task.load())
