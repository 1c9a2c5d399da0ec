"""T10: hostile files: no code of theirs runs, no address is asked, nothing is written elsewhere, a line names each."""

import json
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import torch
from safetensors.torch import save_file

from benchmarks.reliability import harness, hostile_checkpoints
from benchmarks.reliability.cases import Case, Cases
from benchmarks.reliability.hostile_checkpoints import train_run
from benchmarks.reliability.hostile_data import every_dataset
from benchmarks.reliability.traps import Attempt, Lay, Traps

CHECKPOINTS = ("pickled_weights", "states", "caches", "own_code", "places", "bombs")


def run(work: Path) -> list[Case]:
    harness.prepare(work)
    cases, traps = Cases("T10", work), Traps(work / "T10")
    with traps.set_up():
        if not (work / "hostile_run").exists():
            lay = traps.lay()
            job = traps.watch(train_run(lay, lay.out), lay)
            if job.code != 0:
                raise RuntimeError(job.text[-1500:])
            lay.out.rename(work / "hostile_run")
        groups = [getattr(hostile_checkpoints, name) for name in CHECKPOINTS]
        for attempt, lay in chain(*(group(traps) for group in groups), every_dataset(traps), pushes(traps)):
            if not cases.has(attempt.case):
                traps.add(cases, attempt, lay)
    return cases


def pushes(traps: Traps) -> Iterator[tuple[Attempt, Lay]]:
    """What a push must not send: it is left out by name, or the push is refused."""
    token = "hf_" + "Ab1" * 11
    private = ["train.jsonl", "optimizer.pt", "training_args.bin", ".git/config", "wandb/run.log", "notes.txt"]
    private += [".env", "checkpoint-4/model.safetensors", "hfkit_run.json", "rows.parquet", "evil.py"]
    for name in private:
        lay, model = finished(traps)
        lay.file(f"in/model/{name}", "private")
        argv = ["hfkit", "push", str(model), "me/x", "--dry-run", "--json"]

        def left_out(job: harness.Job, name: str = name) -> bool:
            listed = json.loads(job.text[job.text.index("{") :])
            return name in str(listed["left_out"]) and name not in str(listed["files"])

        yield Attempt(f"push: {name}", argv, (0,), holds=left_out), lay
    contents = {
        "tokenizer.json": f'{{"a": "{token}"}}',
        "README.md": f"# x\n{token}\n".replace("_", "\\_"),
        "config.json": json.dumps({"model_type": "bert", "note": token}),
        f"plots/{token}.svg": "<svg/>",
    }
    for name, content in contents.items():
        lay, model = finished(traps)
        lay.file(f"in/model/{name}", content)
        argv = ["hfkit", "push", str(model), "me/x", "--dry-run"]
        said = f"push: a token in {name.replace(token, 'TOKEN')}"
        yield Attempt(said, argv, named=("looks like a secret",), holds=lambda job: token not in job.text), lay
    lay, model = finished(traps)
    save_file({"a": torch.ones(1)}, model / "model.safetensors", metadata={"by": token})
    argv = ["hfkit", "push", str(model), "me/x", "--dry-run"]
    yield Attempt("push: a token in the metadata of weights", argv, named=("model.safetensors",)), lay
    for name in ("vocab.txt", "model.fp16.safetensors", "examples"):
        lay, model = finished(traps)
        (traps.outside / "0.png").write_text("private")
        (model / name).symlink_to(traps.outside if name == "examples" else traps.outside / "private.txt")
        argv = ["hfkit", "push", str(model), "me/x", "--dry-run"]
        yield Attempt(f"push: a link {name} that leads elsewhere", argv, named=(name, "out of the folder")), lay


def finished(traps: Traps) -> tuple[Lay, Path]:
    lay = traps.lay()
    return lay, lay.copy("warm/reviews", "model")
