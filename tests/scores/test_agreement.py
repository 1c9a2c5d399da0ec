"""Agreement between annotators: Krippendorff's alpha by published and by computed examples."""

import numpy as np
import pytest

from hfkit.scores.agreement import krippendorff_alpha, share_of_agreement

MISSING = None
# Krippendorff (2011), Computing Krippendorff's Alpha-Reliability, section C: four observers, twelve units.
PUBLISHED = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, MISSING, MISSING, MISSING],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, MISSING, 3],
    [MISSING, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, MISSING],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, MISSING],
]
SETS = [["a", "ab"], ["ab", "bc"], ["c", "c"], ["a", "b"], ["abc", "ab"], ["b", "b"], ["", "a"], ["", ""]]


def units_of(table: list[list]) -> list[list]:
    return [[value for value in unit if value is not None] for unit in zip(*table, strict=True)]


@pytest.mark.parametrize(("scale", "expected"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_alpha_is_that_of_the_published_example(scale, expected):
    assert krippendorff_alpha(units_of(PUBLISHED), scale) == pytest.approx(expected, abs=0.0005)


def test_alpha_of_the_first_published_examples():
    # The same paper, sections A and B: two observers.
    binary = [[0, 1, 0, 0, 0, 0, 0, 0, 1, 0], [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]]
    names = [list("aabbdcccedda"), list("babbbccceddd")]
    assert krippendorff_alpha(units_of(binary)) == pytest.approx(0.095, abs=0.0005)
    assert krippendorff_alpha(units_of(names)) == pytest.approx(0.692, abs=0.0005)


def test_alpha_of_sets_of_labels():
    # Computed by AnnotationTask(distance=masi_distance).alpha() of nltk 3.10.4, with two empty sets taken as equal.
    sets = [[set(answer) for answer in unit] for unit in SETS]
    assert krippendorff_alpha(sets, "masi") == pytest.approx(0.3538998835855647, abs=1e-12)


def test_alpha_does_not_change_with_what_does_not_matter():
    units = units_of(PUBLISHED)
    alpha = krippendorff_alpha(units, "interval")
    assert krippendorff_alpha([unit[::-1] for unit in units[::-1]], "interval") == pytest.approx(alpha, abs=1e-12)
    assert krippendorff_alpha([*units, [7]], "interval") == pytest.approx(alpha, abs=1e-12)
    moved = [[1e9 + 0.001 * value for value in unit] for unit in units]
    assert krippendorff_alpha(moved, "interval") == pytest.approx(alpha, abs=1e-3)


def test_alpha_of_answers_by_chance_and_of_full_agreement():
    draw = np.random.default_rng(0)
    by_chance = [list(draw.choice(["a", "b", "c"], 3)) for _ in range(5000)]
    assert krippendorff_alpha(by_chance) == pytest.approx(0, abs=0.03)
    assert krippendorff_alpha([["a", "a"], ["b", "b", "b"]]) == 1


@pytest.mark.parametrize("units", [[], [["a"], ["b"]], [["a", "a"], ["a", "a"]]])
def test_alpha_is_undefined_without_pairs_or_without_two_answers(units):
    assert krippendorff_alpha(units) is None


def test_share_of_agreement_counts_pairs():
    assert share_of_agreement([["a", "a", "b"], ["c", "c"], ["d"]]) == pytest.approx((1 / 3 + 1) / 2)
    assert share_of_agreement([["a"]]) is None
