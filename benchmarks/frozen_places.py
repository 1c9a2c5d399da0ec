"""What a frozen checkpoint knows of the places of a picture: the probes of boxes and of pixels on the bundled samples.

    OMP_NUM_THREADS=1 python benchmarks/frozen_places.py

Each sample's baselines answer the same test rows and are scored by the task's own judge; intervals resample pictures.
CPU seconds are those of all that a baseline does, reading the checkpoint included. What fine-tuning reaches stands on
the cards of the recipes. Results: benchmarks/results/frozen_places.json
"""

import json
import time
from pathlib import Path
from typing import Any

import torch

from hfkit.baselines import Baseline, Majority, MeanBoxes, PatchProbe, PixelColours, RegionProbe
from hfkit.contract.task import Task
from hfkit.runtime.machine import environment
from hfkit.scores.statistics import bootstrap_interval
from hfkit.tasks import ObjectDetection, SemanticSegmentation

RESULT = Path(__file__).parent / "results" / "frozen_places.json"
CONTENDERS: list[tuple[type[Task], list[Baseline]]] = [
    (ObjectDetection, [MeanBoxes(), RegionProbe("sample-detector")]),
    (SemanticSegmentation, [Majority(), PixelColours(), PatchProbe("sample-segformer")]),
]


def judge(task: Task, baselines: list[Baseline]) -> dict[str, Any]:
    rows = task.load()
    references = task.rows.references(rows["test"])
    found = []
    for baseline in baselines:
        begun = time.process_time()
        answers = baseline.answers(task, rows)
        seconds = time.process_time() - begun
        interval = bootstrap_interval(task.judge.evidence(answers.predictions, references))
        found.append(
            {
                "name": baseline.name,
                "scores": task.judge.score(answers.predictions, references),
                "interval": [interval.low, interval.high],
                "cpu_seconds": round(seconds, 1),
                "facts": dict(answers.facts),
            }
        )
        print(json.dumps(found[-1], indent=1), flush=True)
    headline = task.judge.headline
    return {
        "task": task.key,
        "headline": headline.key,
        "title": headline.title,
        "rows": {split: len(of_split) for split, of_split in rows.splits.items()},
        "contenders": found,
    }


def main() -> None:
    torch.set_num_threads(1)
    result = {
        "schema": "hfkit.frozen-places/1",
        "command": "python benchmarks/frozen_places.py",
        "environment": environment(),
        "samples": [judge(task(), baselines) for task, baselines in CONTENDERS],
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
