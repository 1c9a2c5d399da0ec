"""The sample of choices keeps its promises: no thing in two splits, and no place that gives the right one away."""

from collections import Counter
from pathlib import Path

from hfkit import samples
from hfkit.samples.choices import sample_choices
from samples_source import make_choices
from tests.samples.splits import SPLITS, assert_committed


def test_the_committed_script_writes_the_committed_files(tmp_path):
    make_choices.write(tmp_path)
    assert_committed(tmp_path, Path(samples.__file__).parent / "choices")


def test_things_of_one_split_are_options_in_no_other():
    corpus = sample_choices()
    assert {split: len(corpus[split]) for split in SPLITS} == {"train": 100, "validation": 80, "test": 150}
    things = [{option for options in corpus[split]["choices"] for option in options} for split in SPLITS]
    assert not things[0] & things[1] and not things[0] & things[2] and not things[1] & things[2]


def test_neither_place_nor_number_of_options_says_which_is_right():
    for split in SPLITS:
        rows = sample_choices()[split]
        counts = Counter(map(len, rows["choices"]))
        assert set(counts) == {2, 3, 4, 5} and min(counts.values()) > len(rows) / 8
        chance = sum(1 / len(options) for options in rows["choices"]) / len(rows)
        for place in range(5):
            usual = sum(
                label == min(place, len(o) - 1) for label, o in zip(rows["label"], rows["choices"], strict=True)
            )
            assert usual / len(rows) < chance + 0.12
