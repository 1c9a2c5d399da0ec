"""The judge of masks: equal to scikit-learn's on all pixels, and to a plain account of boundaries."""

from itertools import pairwise, product

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, jaccard_score

from hfkit.scores.evidence import total
from hfkit.scores.statistics import bootstrap_interval
from hfkit.tasks.masks.answers import PackedMap, pack_map
from hfkit.tasks.masks.classes import NONE
from hfkit.tasks.masks.judge import TOLERANCE, MaskJudge, count_edges

NAMES = ("sky", "tree", "road")
JUDGE = MaskJudge()


def maps(seed: int, rows: int = 6, *, ignored: float = 0.1) -> tuple[list[PackedMap], list[PackedMap]]:
    """Answers and gold masks of several sizes; some gold pixels have no class."""
    draw = np.random.default_rng(seed)
    ours, gold = [], []
    for _ in range(rows):
        shape = tuple(draw.integers(5, 20, 2))
        truth = np.kron(draw.integers(0, 3, (5, 5)), np.ones((4, 4)))[: shape[0], : shape[1]].astype(np.uint8)
        said = np.where(draw.random(shape) < 0.3, draw.integers(0, 3, shape), truth).astype(np.uint8)
        truth[draw.random(shape) < ignored] = NONE
        ours.append(pack_map(said, NAMES))
        gold.append(pack_map(truth, NAMES))
    return ours, gold


def flat(ours: list[PackedMap], gold: list[PackedMap]) -> tuple[np.ndarray, np.ndarray]:
    pairs = [(one.ids().ravel(), other.ids().ravel()) for one, other in zip(ours, gold, strict=True)]
    said, truth = (np.concatenate(side) for side in zip(*pairs, strict=True))
    return said[truth != NONE], truth[truth != NONE]


@pytest.mark.parametrize("seed", range(3))
def test_scores_are_those_of_all_pixels_together(seed):
    ours, gold = maps(seed)
    said, truth = flat(ours, gold)
    scores = JUDGE.score(ours, gold)
    assert scores["mean_iou"] == pytest.approx(jaccard_score(truth, said, average="macro"), abs=1e-12)
    assert scores["dice"] == pytest.approx(f1_score(truth, said, average="macro"), abs=1e-12)
    assert scores["pixel_accuracy"] == pytest.approx(accuracy_score(truth, said), abs=1e-12)
    assert list(scores) == [score.key for score in JUDGE.scores]
    per_class = JUDGE.breakdown(ours, gold)["per_class"]
    assert [one["f1"] for one in per_class.values()] == pytest.approx(f1_score(truth, said, average=None), abs=1e-12)
    assert sum(map(sum, JUDGE.breakdown(ours, gold)["confusion"]["counts"])) == len(truth)


@pytest.mark.slow
def test_torchmetrics_agrees():
    import torch
    import torchmetrics

    ours, gold = maps(7)
    said, truth = (torch.from_numpy(side.astype(np.int64)) for side in flat(ours, gold))
    theirs = torchmetrics.JaccardIndex("multiclass", num_classes=3)(said, truth).item()
    assert JUDGE.score(ours, gold)["mean_iou"] == pytest.approx(theirs, abs=1e-6)


def test_a_class_of_neither_side_does_not_count_and_one_that_is_made_up_does():
    gold = [pack_map(np.array([[0, 0, 1, 1]], np.uint8), NAMES)]
    assert JUDGE.score(gold, gold)["mean_iou"] == 1.0
    made_up = [pack_map(np.array([[0, 0, 1, 2]], np.uint8), NAMES)]
    assert JUDGE.score(made_up, gold)["mean_iou"] == pytest.approx((1 + 1 / 2 + 0) / 3)


def test_pixels_without_a_gold_class_change_nothing():
    gold = np.array([[0, 0, NONE, 1], [0, NONE, 1, 1]], np.uint8)
    scores = []
    for other in (0, 1, 2):
        ours = np.where(gold == NONE, other, np.where(gold == 1, 1, 0)).astype(np.uint8)
        scores.append(JUDGE.score([pack_map(ours, NAMES)], [pack_map(gold, NAMES)]))
    assert all(one == scores[0] for one in scores) and scores[0]["mean_iou"] == 1.0


def test_an_answer_with_other_names_is_read_by_its_names():
    gold = [pack_map(np.array([[0, 1, 2]], np.uint8), NAMES)]
    turned = [pack_map(np.array([[2, 1, 0]], np.uint8), NAMES[::-1])]
    assert JUDGE.score(turned, gold)["mean_iou"] == 1.0
    strange = [pack_map(np.array([[0, 0, 0]], np.uint8), ("sea",))]
    assert JUDGE.score(strange, gold)["mean_iou"] == 0.0


def test_evidence_is_the_headline_under_any_weights():
    ours, gold = maps(1)
    evidence = JUDGE.evidence(ours, gold)
    assert total(evidence) == JUDGE.score(ours, gold)["mean_iou"]
    weights = np.array([[2, 0, 1, 3, 0, 1], [1, 1, 1, 1, 1, 0]], float)
    for drawn, value in zip(weights, evidence.headline(weights), strict=True):
        rows = [row for row, times in enumerate(drawn) for _ in range(int(times))]
        again = JUDGE.score([ours[row] for row in rows], [gold[row] for row in rows])
        assert value == pytest.approx(again["mean_iou"], abs=1e-12)
    interval = bootstrap_interval(evidence, resamples=200)
    assert interval.low < total(evidence) < interval.high


def plain_edges(ours: np.ndarray, gold: np.ndarray, number: int, radius: int) -> tuple[int, int, int, int]:
    """Counts at the boundaries of a class, pixel by pixel."""

    def is_edge(side: np.ndarray, y: int, x: int) -> bool:
        if side[y, x] != number or gold[y, x] == NONE:
            return False
        near = [(y + down, x + across) for down, across in ((0, 1), (1, 0), (0, -1), (-1, 0))]
        inside = [(v, u) for v, u in near if 0 <= v < side.shape[0] and 0 <= u < side.shape[1]]
        return any(gold[place] != NONE and side[place] != number for place in inside)

    places = list(product(range(gold.shape[0]), range(gold.shape[1])))
    mine, theirs = ([place for place in places if is_edge(side, *place)] for side in (ours, gold))

    def near(some: list, others: list) -> int:
        return sum(any(max(abs(y - v), abs(x - u)) <= radius for v, u in others) for y, x in some)

    return near(mine, theirs), len(mine), near(theirs, mine), len(theirs)


def test_boundaries_are_counted_as_by_hand():
    ours, gold = (side[:3] for side in maps(3))
    for one, other in zip(ours, gold, strict=True):
        said, truth = one.ids(), other.ids()
        radius = max(1, round(TOLERANCE * float(np.hypot(*truth.shape))))
        counted = count_edges(said, truth, 3)
        assert [tuple(counted[:, number]) for number in range(3)] == [
            plain_edges(said, truth, number, radius) for number in range(3)
        ]


def test_a_boundary_within_reach_is_right_and_one_beyond_is_wrong():
    def half(column: int) -> list[PackedMap]:
        ids = np.zeros((200, 200), np.uint8)
        ids[:, column:] = 1
        return [pack_map(ids, NAMES)]

    scores = [JUDGE.score(half(100 + shift), half(100))["boundary_f1"] for shift in (0, 1, 2, 3, 8)]
    assert scores[:3] == [1.0, 1.0, 1.0] and scores[-1] == 0.0
    assert all(first >= second for first, second in pairwise(scores))


def test_perfect_answers_are_perfect():
    _, gold = maps(4)
    assert set(JUDGE.score(JUDGE.perfect_predictions(gold), gold).values()) == {1.0}
