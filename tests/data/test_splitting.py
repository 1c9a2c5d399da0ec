"""Rows set aside for validation: no unit on both sides, a share of every class, and none that train lacks."""

from collections import Counter

import numpy as np
import pytest
from datasets import Dataset

from hfkit.data.splitting import draw_rows, draw_splits, group_alike
from hfkit.errors import UserError
from hfkit.tasks import TextClassification

SHARES = (0.05, 0.1, 0.2, 0.5, 0.9)
DRAWS = np.random.default_rng(3)
PATIENTS = [f"p{n}" for n in DRAWS.integers(0, 40, 200)]
SKEWED = [(f"c{int(n)}",) for n in DRAWS.exponential(2.0, 200)]
SETS = [tuple(f"c{n}" for n in range(12) if DRAWS.random() < 1 / (2 + n)) for _ in range(200)]


def count(classes: list[tuple[str, ...]], rows: np.ndarray | range) -> Counter:
    return Counter(name for row in rows for name in classes[row])


def test_without_classes_and_units_the_rows_are_those_of_earlier_versions():
    assert draw_rows(20, 0.3).tolist() == sorted(np.random.default_rng(0).permutation(20)[:6].tolist())


@pytest.mark.parametrize("share", SHARES)
def test_each_class_is_shared_out_to_the_nearest_row_and_all_rows_exactly(share):
    drawn = draw_rows(200, share, classes=SKEWED)
    total, got = count(SKEWED, range(200)), count(SKEWED, drawn)
    singles = sum(1 for rows in total.values() if rows == 1)
    assert abs(len(drawn) - share * 200) <= (singles if share > 0.5 else 0)
    assert all(abs(got[name] - share * rows) < 1 or got[name] == rows - 1 for name, rows in total.items())


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("units", [None, PATIENTS], ids=["rows", "units"])
@pytest.mark.parametrize("classes", [SKEWED, SETS, [(f"c{n // 2}",) for n in range(200)]], ids=["one", "sets", "pairs"])
def test_every_class_keeps_a_row_in_train_and_every_unit_is_whole(classes, units, share):
    drawn = draw_rows(200, share, units=units, classes=classes)
    total, got = count(classes, range(200)), count(classes, drawn)
    assert all(got[name] < rows for name, rows in total.items())
    assert drawn.tolist() == sorted(set(drawn.tolist()))
    if units is not None:
        inside = {units[row] for row in drawn}
        assert all((unit in inside) == (row in drawn) for row, unit in enumerate(units))


@pytest.mark.parametrize("share", [0.1, 0.2, 0.5])
def test_units_come_near_to_the_share_of_rows_and_of_classes(share):
    for classes in (None, SKEWED):
        drawn = draw_rows(200, share, units=PATIENTS, classes=classes)
        assert abs(len(drawn) - share * 200) <= 10  # rows; a patient has 5
    common = max(count(SKEWED, range(200)).values())
    assert abs(count(SKEWED, drawn).most_common(1)[0][1] - share * common) <= 5


def test_one_unit_is_drawn_even_if_each_is_larger_than_the_share():
    drawn = draw_rows(60, 0.05, units=[f"p{row // 20}" for row in range(60)])
    assert len(drawn) == 20 and len({row // 20 for row in drawn}) == 1


def test_what_cannot_be_divided_is_refused():
    with pytest.raises(UserError, match="there are 4 in 1 units or groups .* whole.*--validation_share"):
        draw_splits(4, {"validation": 0.5}, groups=["p"] * 4)
    with pytest.raises(UserError, match="there are 4, where every class keeps a row in train"):
        draw_splits(4, {"test": 0.5}, classes=[(name,) for name in "abcd"])


def test_test_and_validation_are_shares_of_the_rows_there_were():
    splits = draw_splits(200, {"test": 0.2, "validation": 0.1}, classes=SKEWED)
    assert {split: len(rows) for split, rows in splits.items()} == {"train": 140, "test": 40, "validation": 20}
    assert sorted(np.concatenate(list(splits.values())).tolist()) == list(range(200))


def test_rows_of_one_unit_or_with_equal_inputs_stay_together():
    assert group_alike(["a", "b", "c"]) is None
    first, second, third, fourth, alone = group_alike(["a", "b", "a", "c", "d"], ["p", "q", "r", "q", "s"])
    assert first == third and second == fourth and len({first, second, alone}) == 3
    chained = group_alike(["a", "b", "b", "c"], ["p", "p", "q", "q"])  # by a unit, an equal input, and a unit
    assert len(set(chained)) == 1


def test_no_patient_of_the_validation_rows_is_in_train(tmp_path):
    for split, first in (("train", 0), ("test", 100)):
        texts = [
            {"text": f"note {n}", "label": "ab"[n % 2], "patient": f"p{first + n // 5}"}
            for n in range(first, first + 100)
        ]
        Dataset.from_list(texts).to_parquet(str(tmp_path / f"{split}.parquet"))
    loaded = TextClassification(dataset=str(tmp_path), unit_column="patient", validation_share=0.2).load()
    sizes = {split: len(rows) for split, rows in loaded.splits.items()}
    assert sizes == {"train": 80, "validation": 20, "test": 100}
    assert not set(loaded["validation"]["unit"]) & set(loaded["train"]["unit"])


@pytest.mark.parametrize(
    ("problem", "labels"),
    [
        ("single-label", ["a", "b"] * 18 + ["rare"] * 2),
        ("multi-label", [["a"], ["b"]] * 18 + [["a", "rare"], ["rare"]]),
        ("ordinal", [1, 2] * 18 + [9] * 2),
    ],
)
def test_a_rare_answer_never_goes_to_validation_whole(problem, labels, tmp_path):
    for split in ("train", "test"):
        rows = {"text": [f"text {n}" for n in range(len(labels))], "label": labels}
        Dataset.from_dict(rows).to_parquet(str(tmp_path / f"{split}.parquet"))
    for share in (0.2, 0.9):
        loaded = TextClassification(dataset=str(tmp_path), problem=problem, validation_share=share).load()
        assert len(loaded["train"]) + len(loaded["validation"]) == 38
        assert "rare" in str(loaded["train"]["label"][:]).replace("9", "rare")
