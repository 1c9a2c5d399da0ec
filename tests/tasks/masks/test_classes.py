"""What the numbers in masks stand for: never off by one, and told."""

import json

import numpy as np
import pytest
from transformers import SegformerConfig

from hfkit.data.images.palettes import Palette
from hfkit.data.notes import collect_notes
from hfkit.errors import UserError
from hfkit.tasks.masks.classes import (
    NONE,
    ClassFlags,
    MaskClasses,
    find_strangers,
    read_legend,
    settle_classes,
    to_ids,
    write_legend,
)


def settle(found, beside=None, **flags) -> MaskClasses:
    return settle_classes(found, ClassFlags(**flags), beside)


def test_without_names_numbers_are_their_own_and_255_is_none():
    classes = settle({0, 3, 255})
    assert (classes.names, classes.values, classes.ignored) == (("0", "3"), (0, 3), (255,))
    assert find_strangers({0, 3, 255}, classes) == [] and find_strangers({1, 3}, classes) == [1]


def test_names_are_for_the_numbers_from_0_on():
    classes = settle({0, 1}, names="sky, tree,road")
    assert classes.names == ("sky", "tree", "road") and classes.values == (0, 1, 2)


def test_reduced_labels_begin_at_1_and_what_0_is_comes_first():
    with collect_notes() as notes:
        classes = settle({0, 1, 2}, names="sky,tree", reduced=True)
    assert classes.values == (1, 2) and classes.ignored == (0, 255)
    assert notes == ["masks: 0 means no class, 255 means no class, 1 is 'sky', 2 is 'tree'"]
    legend = read_legend(write_legend(classes))
    assert to_ids(np.array([[0, 1, 2, 255, 7]]), legend).tolist() == [[NONE, 0, 1, NONE, NONE]]


@pytest.mark.parametrize(
    "values", [(0, 1, 2), (0, 255), (1, 2), (0, 2), (0, 1, 255), tuple(range(255)), tuple(range(1, 256)), ()]
)
def test_bytes_become_the_ids_that_wider_numbers_become(values):
    """Masks whose numbers are their own ids are not looked up; which these are depends on whether 255 is a class."""
    legend = read_legend(write_legend(MaskClasses(tuple(map(str, values)), None, values)))
    for numbers in (
        np.arange(256),
        np.arange(3),
        np.array([0, 1, 255]),
        np.array([2, 2]),
        np.array([255]),
        np.arange(0),
    ):
        expected = [values.index(number) if number in values else NONE for number in numbers.tolist()]
        for kind in (np.uint8, np.int64):
            made = to_ids(numbers.astype(kind), legend)
            assert made.tolist() == expected and made.dtype == np.uint8


def test_reduced_labels_whose_first_name_is_that_of_0_are_refused():
    with pytest.raises(UserError, match="begin with 'background'"):
        settle({0, 1}, names="background,sky", reduced=True)


def test_black_and_white_masks_have_two_classes():
    with collect_notes() as notes:
        assert settle({0, 255}).values == (0, 255)
    assert "255 is a class" in notes[0]
    assert settle({0, 1, 255}).values == (0, 1)
    assert settle({0, 255}, ignored=255).values == (0,)


def test_the_number_of_no_class_is_a_flag():
    assert settle({0, 1, 9}, ignored=9).values == (0, 1)
    assert settle({0, 1, 255}, ignored=-1).values == (0, 1, 255)
    assert settle({0, 1, 255}, ignored=0).values == (1, 255)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("classes.txt", "sky\ntree\n"),
        ("id2label.json", json.dumps({"0": "sky", "1": "tree"})),
        ("classes.json", json.dumps(["sky", "tree"])),
        ("labels.json", json.dumps({"sky": 0, "tree": 1})),
        ("classes.json", json.dumps([{"id": 1, "name": "tree"}, {"id": 0, "name": "sky"}])),
    ],
)
def test_names_lie_beside_the_masks_or_in_a_named_file(name, text, tmp_path):
    (tmp_path / name).write_text(text)
    assert settle({0, 1}, tmp_path).names == ("sky", "tree")
    assert settle({0, 1}, names=str(tmp_path / name)).names == ("sky", "tree")


@pytest.mark.parametrize("text", ["{", "[1, 2]", '{"a": "b"}', "5"])
def test_a_file_of_something_else_is_refused(text, tmp_path):
    (tmp_path / "classes.json").write_text(text)
    with pytest.raises(UserError, match="names the classes"):
        settle({0}, tmp_path)


def test_a_palette_names_its_colours():
    palette = Palette(("sky", "tree"), ((0, 0, 255), (0, 128, 0)))
    assert settle({0, 1}, palette=palette).names == ("sky", "tree")


def test_what_cannot_be_classes_is_refused():
    with pytest.raises(UserError, match="may count objects"):
        settle(set(range(300)))
    with pytest.raises(UserError, match="some pixels are of a class"):
        settle({255})
    with pytest.raises(UserError, match="class 'sky'"):
        settle({0, 1}, names="sky,sky")


def test_classes_are_written_into_a_configuration_and_read_back():
    classes = settle({0, 1, 2}, names="sky,tree", reduced=True)
    config = SegformerConfig(**classes.to_config())
    assert MaskClasses.from_config(config) == classes
    assert MaskClasses.from_config(SegformerConfig(num_labels=3)).values == (0, 1, 2)
