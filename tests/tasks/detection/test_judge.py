"""Boxes are judged as COCO's evaluation judges them, digit by digit, and any draw of the pictures with them."""

import numpy as np
import pytest
from faster_coco_eval import COCO, COCOeval_faster

from hfkit.scores.evidence import total
from hfkit.scores.statistics import bootstrap_interval
from hfkit.tasks.detection.boxes import as_boxes, overlaps
from hfkit.tasks.detection.judge import MISSED, NOTHING, BoxJudge
from hfkit.tasks.detection.matching import THRESHOLDS, match

NAMES = ("cat", "dog", "owl")


def draw_answers(seed: int, pictures: int = 40, *, tied: bool = False, crowds: bool = False) -> tuple[list, list]:
    """Random gold boxes, and predictions that are near some of them, with empty pictures on both sides."""
    draw = np.random.default_rng(seed)
    predictions, references = [], []
    for _ in range(pictures):
        gold = draw.integers(0, 6)
        begin = draw.integers(0, 60, (gold, 2)).astype(float)
        boxes = np.concatenate([begin, begin + draw.integers(4, 40, (gold, 2))], axis=1)
        labels = draw.choice(NAMES[:2], gold).tolist()
        crowd = (draw.random(gold) < 0.3).tolist() if crowds else [False] * gold
        near = np.repeat(boxes, 2, axis=0) + draw.normal(0, 3, (2 * gold, 4)).round() / 2
        near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 1)
        begin = draw.integers(0, 60, (3, 2)).astype(float)
        found = np.concatenate([near, np.concatenate([begin, begin + 20], axis=1)])[: draw.integers(0, 2 * gold + 4)]
        scores = draw.integers(1, 5, len(found)) / 4 if tied else draw.random(len(found))
        order = np.argsort(-scores, kind="stable")
        names = np.array([*np.repeat(labels, 2), *draw.choice(NAMES, 3)], dtype=object)[: len(found)]
        names[draw.random(len(names)) < 0.2] = "dog"
        predictions.append({"boxes": found[order], "labels": names[order].tolist(), "scores": scores[order]})
        predictions[-1]["kept"] = int((scores > 0.5).sum())
        references.append({"boxes": boxes.tolist(), "labels": labels, "crowd": crowd})
    return predictions, references


def evaluate_with_coco(predictions: list, references: list) -> np.ndarray:
    """COCO's twelve numbers: mAP, mAP at 50 %, at 75 %, of three sizes, and average recalls."""

    def sides(box: np.ndarray) -> list[float]:
        return [float(side) for side in (box[0], box[1], box[2] - box[0], box[3] - box[1])]

    annotations = []
    for number, gold in enumerate(references):
        for box, label, crowd in zip(as_boxes(gold["boxes"]), gold["labels"], gold["crowd"], strict=True):
            one = {"image_id": number + 1, "category_id": NAMES.index(label) + 1, "bbox": sides(box)}
            one |= {"area": one["bbox"][2] * one["bbox"][3], "iscrowd": int(crowd), "id": len(annotations) + 1}
            annotations.append(one)
    found = [
        {"image_id": number + 1, "category_id": NAMES.index(label) + 1, "bbox": sides(box), "score": float(score)}
        for number, ours in enumerate(predictions)
        for box, label, score in zip(ours["boxes"], ours["labels"], ours["scores"], strict=True)
    ]
    images = [{"id": number + 1, "width": 100, "height": 100} for number in range(len(references))]
    categories = [{"id": number + 1, "name": name} for number, name in enumerate(NAMES)]
    gold = COCO({"images": images, "annotations": annotations, "categories": categories})
    judge = COCOeval_faster(gold, gold.loadRes(found), "bbox")
    judge.evaluate()
    judge.accumulate()
    judge.summarize()
    return np.array(judge.stats)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("case", [{}, {"tied": True}, {"crowds": True}, {"tied": True, "crowds": True}])
def test_scores_are_those_of_coco(seed, case):
    predictions, references = draw_answers(seed, **case)
    expected, scores = evaluate_with_coco(predictions, references), BoxJudge().score(predictions, references)
    assert 0.1 < scores["map"] < 0.9
    assert [scores["map"], scores["map50"], scores["ar100"]] == pytest.approx(expected[[0, 1, 8]].tolist(), abs=1e-6)


def test_a_draw_of_pictures_is_the_score_of_pictures_drawn_as_often():
    predictions, references = draw_answers(5)
    times = np.random.default_rng(0).multinomial(40, np.ones(40) / 40, 3)
    drawn = BoxJudge().evidence(predictions, references).headline(times.astype(float))
    for value, counts in zip(drawn, times, strict=True):
        rows = np.repeat(np.arange(40), counts)
        copied = evaluate_with_coco([predictions[row] for row in rows], [references[row] for row in rows])
        assert value == pytest.approx(copied[0], abs=1e-6)


def test_an_interval_holds_the_score():
    predictions, references = draw_answers(6)
    evidence = BoxJudge().evidence(predictions, references)
    interval = bootstrap_interval(evidence, resamples=200)
    assert interval.low < total(evidence) < interval.high


def test_gold_boxes_are_perfect_answers_and_none_are_the_worst():
    _, references = draw_answers(7, crowds=True)
    judge = BoxJudge()
    perfect = judge.score(judge.perfect_predictions(references), references)
    assert perfect == {"map": 1, "map50": 1, "ar100": 1, "f1": 1}
    nothing = [{"boxes": np.empty((0, 4)), "labels": [], "scores": np.empty(0), "kept": 0}] * len(references)
    assert judge.score(nothing, references) == {"map": 0, "map50": 0, "ar100": 0, "f1": 0}


def test_the_breakdown_counts_the_boxes_that_were_kept():
    gold = [{"boxes": [[0, 0, 10, 10], [20, 0, 30, 10], [0, 20, 10, 30]], "labels": ["cat", "cat", "dog"]}]
    boxes = [[0, 0, 10, 10], [20, 0, 30, 11], [0, 20, 10, 30], [50, 50, 60, 60]]
    answer = {"boxes": boxes, "labels": ["cat", "dog", "dog", "cat"], "scores": [0.9, 0.8, 0.7, 0.1], "kept": 3}
    found = BoxJudge().breakdown([answer], gold)
    assert found["per_class"]["cat"] == {"precision": 1.0, "recall": 0.5, "f1": 2 / 3, "support": 2}
    assert found["per_class"]["dog"] == {"precision": 0.5, "recall": 1.0, "f1": 2 / 3, "support": 1}
    names, counts = found["confusion"]["gold"], np.array(found["confusion"]["counts"])
    assert names == ["cat", "dog"] and counts.tolist() == [[1, 1], [0, 1]]
    whole = BoxJudge().breakdown(
        [answer | dict(boxes=boxes[1:], labels=["dog", "dog", "cat"], scores=[0.8, 0.7, 0.1])], gold
    )
    assert {MISSED, NOTHING} <= {*whole["confusion"]["gold"], *whole["confusion"]["predicted"]}


def test_a_box_takes_the_gold_box_it_overlaps_most_and_each_is_taken_once():
    gold = as_boxes([[0, 0, 10, 10], [0, 0, 10, 8]])
    ours = as_boxes([[0, 0, 10, 8], [0, 0, 10, 8], [0, 0, 10, 8]])
    hits = match(overlaps(ours, gold), np.zeros(2, dtype=bool))
    assert hits[:, 0].tolist() == [1, 1, 0] and hits[:, -1].tolist() == [1, 0, 0]
    assert overlaps(ours[:1], gold)[0].tolist() == pytest.approx([0.8, 1.0])
    assert hits.shape == (3, len(THRESHOLDS))
