"""A step above a stored frozen prefix, beside the same step without the store: questions and a language model.

    OMP_NUM_THREADS=1 python -m benchmarks.cached_heads --result benchmarks/results/cached_heads.json

Questions: the bundled encoder is frozen, and the head that marks answers learns. Language model: all blocks but the
upper ones are frozen; its head, which is tied to the frozen embeddings, has to be computed in every step. Both sides
are hfkit in float32, on one thread, with the same rows and batches. Rounds take turns.
"""

import argparse
import json
import shlex
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import torch
from transformers import TrainerCallback, set_seed

from benchmarks.meter import Meter
from hfkit import TransferArguments, TransferTrainer
from hfkit.contract.task import Task
from hfkit.runtime.machine import environment
from hfkit.tasks import LanguageModelling, QuestionAnswering


class Head(NamedTuple):
    """A head above a frozen prefix."""

    words: str
    task: Task
    checkpoint: str
    batch: int
    steps: int
    plan: dict[str, Any]


class Stop(TrainerCallback):
    """Ends training after some steps, before another stage begins."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def on_step_end(self, args, state, control, **kwargs):
        control.should_training_stop = state.global_step >= self.steps


def list_heads(language_model: str) -> list[Head]:
    # Of the plan of gradual unfreezing only the first stage is run.
    top = {"strategy": "gradual", "head_only": 0.0, "unfreeze_stages": 6, "unfreeze_until": 0.99}
    text = LanguageModelling(max_train_rows=160, max_length=128)
    return [
        Head(
            "answers in passages, frozen encoder",
            QuestionAnswering(),
            "sample",
            16,
            60,
            {"strategy": "feature-extraction"},
        ),
        Head(f"language model {language_model}, upper blocks learn", text, language_model, 2, 8, top),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--language_model", default="smollm2")
    parser.add_argument("--result", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    heads = list_heads(args.language_model)
    rounds: dict[str, list[dict[str, float]]] = {head.words: [] for head in heads}
    for _ in range(args.rounds):
        for head in heads:
            seconds = {name: measure_step(head, stored=name == "stored") for name in ("plain", "stored")}
            rounds[head.words].append(seconds)
            print(json.dumps({"head": head.words, **seconds}), flush=True)
    result = {
        "schema": "hfkit.cached_heads/1",
        "command": shlex.join(["python", "-m", "benchmarks.cached_heads", *sys.argv[1:]]),
        "heads": [summarise(words, found) for words, found in rounds.items()],
        "environment": environment(),
    }
    if args.result:
        args.result.write_text(json.dumps(result, indent=1) + "\n")


def summarise(words: str, rounds: list[dict[str, float]]) -> dict[str, Any]:
    ratios = [one["plain"] / one["stored"] for one in rounds]
    ratio = {"median": median(ratios), "lowest": min(ratios), "highest": max(ratios)}
    sides = {name: median(one[name] for one in rounds) for name in ("plain", "stored")}
    return {"head": words, "cpu_seconds": sides, "ratio": ratio, "rounds": rounds}


def measure_step(head: Head, *, stored: bool) -> float:
    """CPU seconds of an optimizer step of the first stage."""
    with tempfile.TemporaryDirectory() as place:
        args = TransferArguments(
            output_dir=place,
            max_steps=10 * head.steps if "unfreeze_stages" in head.plan else head.steps,
            per_device_train_batch_size=head.batch,
            prefix_cache=stored,
            cache_dir=f"{place}/cache",
            precision="fp32",
            fit_head="no",
            eval_strategy="no",
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
            **head.plan,
        )
        set_seed(args.seed)
        rows = head.task.load(head.checkpoint)
        codec = head.task.codec(head.checkpoint, rows.target)
        trainer = TransferTrainer(model=codec.model(), args=args, task=head.task, codec=codec, rows=rows)
        meter = Meter(trainer)
        trainer.add_callback(Stop(head.steps))
        meter.train()
        (first, *_) = meter.step_costs()
        return first["cpu_seconds"]


if __name__ == "__main__":
    main()
