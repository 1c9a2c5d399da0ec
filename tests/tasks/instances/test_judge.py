"""Masks are judged as COCO's evaluation judges them, digit by digit, without being unpacked."""

import numpy as np
import pytest
from faster_coco_eval import COCO, COCOeval_faster
from faster_coco_eval import mask as coco

from hfkit.data.images.runs import decode_runs_of, encode_runs
from hfkit.tasks.instances.judge import InstanceJudge, fill_boxes
from hfkit.tasks.instances.overlaps import find_spans, overlap_spans

NAMES = ("cat", "dog", "owl")
SIZE = (40, 56)  # height, width


def draw_blob(draw: np.random.Generator) -> np.ndarray:
    """A mask of some rectangles with a ragged edge."""
    mask = np.zeros(SIZE, bool)
    for _ in range(draw.integers(1, 3)):
        top, left = draw.integers(0, 30), draw.integers(0, 44)
        mask[top : top + draw.integers(3, 20), left : left + draw.integers(3, 20)] = True
    return mask & (draw.random(SIZE) < 0.95)


def shift(mask: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    return np.roll(mask, tuple(draw.integers(-1, 2, 2)), axis=(0, 1))


def to_runs(mask: np.ndarray) -> str:
    return encode_runs(mask)["counts"]


def draw_answers(seed: int, pictures: int = 30, *, tied: bool = False, crowds: bool = False) -> tuple[list, list]:
    """Random gold masks, and predictions that are near some of them, with empty pictures on both sides."""
    draw = np.random.default_rng(seed)
    predictions, references = [], []
    for _ in range(pictures):
        gold = [draw_blob(draw) for _ in range(draw.integers(0, 5))]
        labels = draw.choice(NAMES[:2], len(gold)).tolist()
        crowd = (draw.random(len(gold)) < 0.3).tolist() if crowds else [False] * len(gold)
        near = [shift(mask, draw) for mask in gold for _ in range(2)] + [draw_blob(draw) for _ in range(2)]
        near = near[: draw.integers(0, len(near) + 1)]
        scores = draw.integers(1, 5, len(near)) / 4 if tied else draw.random(len(near))
        order = np.argsort(-scores, kind="stable")
        names = np.array([*np.repeat(labels, 2), *draw.choice(NAMES, 2)], dtype=object)[: len(near)]
        names[draw.random(len(names)) < 0.2] = "dog"
        predictions.append(
            {
                "runs": [to_runs(near[place]) for place in order],
                "labels": names[order].tolist(),
                "scores": scores[order].tolist(),
                "kept": int((scores > 0.5).sum()),
            }
        )
        runs = [to_runs(mask) for mask in gold]
        references.append({"runs": runs, "labels": labels, "crowd": crowd, "size": SIZE})
    return predictions, references


def evaluate_with_coco(predictions: list, references: list) -> np.ndarray:
    """COCO's twelve numbers: mAP, mAP at 50 %, at 75 %, of three sizes, and average recalls."""

    def region(runs: str) -> dict:
        return {"size": list(SIZE), "counts": runs}

    annotations = []
    for number, gold in enumerate(references):
        for runs, label, crowd in zip(gold["runs"], gold["labels"], gold["crowd"], strict=True):
            box = [float(side) for side in coco.toBbox(region(runs))]
            one = {"image_id": number + 1, "category_id": NAMES.index(label) + 1, "segmentation": region(runs)}
            one |= {"bbox": box, "area": float(coco.area(region(runs))), "iscrowd": int(crowd)}
            annotations.append(one | {"id": len(annotations) + 1})
    found = [
        {"image_id": number + 1, "category_id": NAMES.index(label) + 1, "segmentation": region(runs), "score": score}
        for number, ours in enumerate(predictions)
        for runs, label, score in zip(ours["runs"], ours["labels"], ours["scores"], strict=True)
    ]
    images = [{"id": number + 1, "width": SIZE[1], "height": SIZE[0]} for number in range(len(references))]
    categories = [{"id": number + 1, "name": name} for number, name in enumerate(NAMES)]
    gold = COCO({"images": images, "annotations": annotations, "categories": categories})
    judge = COCOeval_faster(gold, gold.loadRes(found), "segm")
    judge.evaluate()
    judge.accumulate()
    judge.summarize()
    return np.array(judge.stats)


def test_masks_overlap_as_their_pixels_do():
    draw = np.random.default_rng(3)
    ours = [draw_blob(draw) for _ in range(12)] + [np.ones(SIZE, bool), np.zeros(SIZE, bool)]
    gold = [shift(mask, draw) for mask in ours[:6]] + [np.ones(SIZE, bool), np.zeros(SIZE, bool), ours[3]]
    crowd = np.arange(len(gold)) % 3 == 2
    shared = overlap_spans(*(find_spans([to_runs(mask) for mask in side]) for side in (ours, gold)), crowd)
    theirs = coco.iou(*([encode_runs(mask) for mask in side] for side in (ours, gold)), crowd.astype(int).tolist())
    assert shared.shape == (14, 9) and 0 < shared.mean() < 1
    assert np.abs(shared - theirs).max() < 1e-12


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("case", [{}, {"tied": True, "crowds": True}])
def test_scores_are_those_of_coco(seed, case):
    predictions, references = draw_answers(seed, **case)
    expected, scores = evaluate_with_coco(predictions, references), InstanceJudge().score(predictions, references)
    assert 0.1 < scores["map"] < 0.9
    assert [scores["map"], scores["map50"], scores["ar100"]] == pytest.approx(expected[[0, 1, 8]].tolist(), abs=1e-6)


def test_a_draw_of_pictures_is_the_score_of_pictures_drawn_as_often():
    predictions, references = draw_answers(5, crowds=True)
    times = np.random.default_rng(0).multinomial(30, np.ones(30) / 30, 2)
    drawn = InstanceJudge().evidence(predictions, references).headline(times.astype(float))
    for value, counts in zip(drawn, times, strict=True):
        rows = np.repeat(np.arange(30), counts)
        copied = evaluate_with_coco([predictions[row] for row in rows], [references[row] for row in rows])
        assert value == pytest.approx(copied[0], abs=1e-6)


def test_gold_masks_are_perfect_answers_and_none_are_the_worst():
    _, references = draw_answers(7, crowds=True)
    judge = InstanceJudge()
    perfect = judge.perfect_predictions(references)
    assert judge.score(perfect, references) == {"map": 1, "map50": 1, "ar100": 1, "f1": 1}
    nothing = [{"runs": [], "labels": [], "scores": [], "kept": 0}] * len(references)
    assert judge.score(nothing, references) == {"map": 0, "map50": 0, "ar100": 0, "f1": 0}
    table = judge.breakdown(perfect, references)
    assert "Of the masks kept" in table["note"] and all(one["f1"] == 1 for one in table["per_class"].values())


def test_an_answer_of_boxes_stands_for_masks_that_fill_them():
    (runs,) = fill_boxes(np.array([[-3.0, 2.4, 9.6, 99.0]]), SIZE)
    mask = decode_runs_of({"size": SIZE, "counts": runs})
    assert mask[2:, :10].all() and mask.sum() == (SIZE[0] - 2) * 10
    gold = [{"runs": [runs], "labels": ["cat"], "crowd": [False], "size": SIZE}]
    boxes = [{"boxes": [[0, 2, 10, 40]], "labels": ["cat"], "scores": [0.9], "kept": 1}]
    assert InstanceJudge().score(boxes, gold)["map"] == 1
