"""T4: a run that is cut right after a checkpoint, and gone on with, ends bit for bit like one that was not.

One run saves after every step, and every cut is a copy of it without the later checkpoints. Strategies, accumulation,
loaders with workers, and evaluation, logging and saving that are due in another order than they are done.
"""

import random
import shutil
from pathlib import Path

from benchmarks.reliability import harness
from benchmarks.reliability.cases import Case, Cases
from benchmarks.reliability.harness import find_outcome, flags, make_empty, prepare

SAVED = ["--save_strategy", "steps", "--save_steps", "1", "--resume_from_checkpoint", "auto"]
LAST = ["--load_best_model_at_end", "false", "--save_total_limit", "100"]
EPOCHS = 2
# Of 96 rows in batches of 4: 24 steps an epoch.
EPOCH = 24
# name -> kind of rows, flags, steps of an optimizer window
CELLS = {
    "feature-extraction": ("ner", ["--strategy", "feature-extraction"], 1),
    "full": ("reviews", ["--strategy", "full"], 2),
    "discriminative, accumulation of 3": ("ner", ["--strategy", "discriminative"], 3),
    "gradual, 2 workers": ("reviews", ["--strategy", "gradual", "--dataloader_num_workers", "2"], 1),
    "lp-ft": ("ner", ["--strategy", "lp-ft"], 2),
    "lora": ("reviews", ["--strategy", "lora"], 3),
    "scratch": ("ner", ["--strategy", "scratch"], 1),
    "bf16": ("ner", ["--strategy", "full", "--bf16", "true"], 2),
    "logged between checkpoints": ("ner", ["--strategy", "full", "--logging_steps", "5"], 1),
}
CUTS = 5  # of each cell, drawn at random
# Cuts at the last step of an epoch, where the evaluation comes after the checkpoint.
ORDERS = {
    "saved by steps, evaluated by epochs": [],
    "saved by steps, evaluated and logged by epochs": ["--logging_strategy", "epoch"],
    "saved by steps, evaluated by epochs, logged by steps": ["--logging_steps", "7"],
}


def run(work: Path) -> list[Case]:
    prepare(work)
    cases = Cases("T4", work)
    for number, (name, (kind, more, window)) in enumerate(CELLS.items()):
        more = [*more, "--gradient_accumulation_steps", str(window), "--eval_strategy", "epoch"]
        steps = EPOCHS * EPOCH // window
        cuts = sorted(random.Random(number).sample(range(1, steps), CUTS))
        cut_at(work, cases, name, flags(kind, work, *SAVED, *LAST, "--num_train_epochs", str(EPOCHS), *more), cuts)
    for name, more in ORDERS.items():
        argv = flags("ner", work, *SAVED, *LAST, "--num_train_epochs", "3", "--eval_strategy", "epoch", *more)
        cut_at(work, cases, name, argv, [EPOCH, 2 * EPOCH, 3 * EPOCH])
    # The best epoch is chosen, by steps and by epochs, and auto decides on validation.
    by_epochs = ["--save_strategy", "epoch", "--eval_strategy", "epoch", "--save_total_limit", "100"]
    auto = "--resume_from_checkpoint", "auto"
    argv = flags("ner", work, *by_epochs, *auto, "--strategy", "auto", "--num_train_epochs", "4")
    cut_at(work, cases, "auto", argv, [0, EPOCH])
    argv = flags("ner", work, *by_epochs, *auto, "--strategy", "full", "--num_train_epochs", "4")
    cut_at(work, cases, "the best epoch", argv, [EPOCH, 2 * EPOCH, 3 * EPOCH, 4 * EPOCH])
    return cases


def cut_at(work: Path, cases: Cases, name: str, argv: list[str], cuts: list[int]) -> None:
    missing = [cut for cut in cuts if not cases.has(f"{name}, cut at {cut}")]
    if not missing:
        return
    whole, place, out = work / "T4/whole", work / "T4/run", work / "T4/out.txt"
    job = harness.run([*argv, "--output_dir", str(make_empty(whole))], out)
    wanted = find_outcome(whole)
    for cut in missing:
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(whole, place, ignore=lambda folder, names, cut=cut: later(names, cut))
        again = harness.run([*argv, "--output_dir", str(place)], out)
        found = find_outcome(place)
        differs = [part for part in wanted if wanted[part] != found[part]]
        good = job.code == again.code == 0 and not differs
        cases.add(
            f"{name}, cut at {cut}", good, f"{again.verdict}; {', '.join(differs) + ' DIFFER' if differs else 'equal'}"
        )


def later(names: list[str], cut: int) -> set[str]:
    """What a run that is cut after a step has not written yet."""
    steps = {name for name in names if name.startswith("checkpoint-") and int(name.partition("-")[2]) > cut}
    results = {name for name in names if name.startswith(("report.", "model", "README", "hfkit_trained", "adapter"))}
    return steps | (results if any(name.startswith("checkpoint-") for name in names) else set())
