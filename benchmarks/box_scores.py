"""Measures how long the judge of boxes takes: mAP of 5,000 pictures, and its interval by 2,000 draws of them.

    python benchmarks/box_scores.py

Pictures have seven gold boxes of 80 classes and a hundred predictions on average, as in COCO. CPU seconds of this
process, and the memory it held at most. Results: benchmarks/results/box_scores.json
"""

import json
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from hfkit.scores.evidence import total
from hfkit.scores.statistics import RESAMPLES, bootstrap_interval
from hfkit.tasks.detection.judge import BoxJudge

RESULT = Path(__file__).parent / "results" / "box_scores.json"
PICTURES, CLASSES, GOLD, FOUND = 5000, 80, 7, 100
NAMES = [f"class {number}" for number in range(CLASSES)]


def draw_picture(draw: np.random.Generator) -> tuple[dict[str, Any], dict[str, Any]]:
    """Predictions and gold boxes of one picture; some predictions lie near a gold box of their class."""
    count = draw.poisson(GOLD)
    begin = draw.uniform(0, 500, (count, 2))
    boxes = np.concatenate([begin, begin + draw.uniform(10, 140, (count, 2))], axis=1)
    labels = draw.integers(0, CLASSES, count)
    near = min(2 * count, FOUND)
    others = draw.uniform(0, 500, (FOUND - near, 2))
    found = np.concatenate(
        [
            np.repeat(boxes, 2, axis=0)[:near] + draw.normal(0, 6, (near, 4)),
            np.concatenate([others, others + draw.uniform(10, 140, (FOUND - near, 2))], axis=1),
        ]
    )
    classes = np.concatenate([np.repeat(labels, 2)[:near], draw.integers(0, CLASSES, FOUND - near)])
    scores = np.concatenate([draw.beta(3, 2, near), draw.beta(1, 8, FOUND - near)])
    order = np.argsort(-scores)
    answer = {"boxes": found[order], "labels": [NAMES[number] for number in classes[order]], "scores": scores[order]}
    reference = {"boxes": boxes.tolist(), "labels": [NAMES[number] for number in labels]}
    return {**answer, "kept": int((scores > 0.5).sum())}, reference


def measure(work: Callable[[], Any]) -> tuple[Any, float]:
    begun = time.process_time()
    value = work()
    return value, round(time.process_time() - begun, 2)


def main() -> None:
    draw, judge = np.random.default_rng(0), BoxJudge()
    pairs = [draw_picture(draw) for _ in range(PICTURES)]
    predictions, references = [one for one, _ in pairs], [gold for _, gold in pairs]
    evidence, matching = measure(lambda: judge.evidence(predictions, references))
    value, once = measure(lambda: total(evidence))
    interval, drawing = measure(lambda: bootstrap_interval(evidence, resamples=RESAMPLES))
    record = {
        "pictures": PICTURES,
        "predictions": sum(len(one["scores"]) for one in predictions),
        "gold_boxes": sum(len(one["labels"]) for one in references),
        "classes": CLASSES,
        "draws": RESAMPLES,
        "map": value,
        "interval": [interval.low, interval.high],
        "cpu_seconds": {"matching": matching, "one_score": once, "interval": drawing},
        "most_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }
    RESULT.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(record, indent=2))


if __name__ == "__main__":
    main()
