"""T2b: damage to what else is gone on from: cells of a comparison, parts of a prediction, caches, the run's record."""

import json
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.reliability import harness
from benchmarks.reliability.cases import Case, Cases
from benchmarks.reliability.harness import Job, digest, find_outcome, flags, flip, make_empty, prepare

DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "half": lambda content: content[: len(content) // 2],
    "a flipped bit": flip,
}
RANK = {"RANK": 0, "WORLD_SIZE": 2, "LOCAL_RANK": 0}  # `compare` then runs its cells in its own process
PART, STATE = "a.jsonl.part", "a.jsonl.part.json"


def run(work: Path) -> list[Case]:
    prepare(work)
    cases = Cases("T2b", work)
    for damage in (damage_cells, damage_predictions, damage_activations, damage_run_files):
        damage(work, cases)
    return cases


def damage_cells(work: Path, cases: Cases) -> None:
    """A damaged cell counts as not run: the ledger comes out the same."""
    whole = work / "T2b/comparison"
    if not (whole / "ledger.json").is_file():
        compare(work, make_empty(whole))
    wanted = read_ledger(whole)
    for suffix in (".json", ".npz"):
        for kind, change in {**DAMAGES, "missing": None}.items():
            if cases.has(case := f"compare: a cell's {suffix} {kind}"):
                continue
            place = copy(whole, work / "T2b/damaged")
            file = min((place / "cells").glob(f"full*{suffix}"))
            change_file(file, change)
            (place / "ledger.json").unlink()
            job = compare(work, place)
            equal = read_ledger(place) == wanted
            cases.add(case, not job.has_traceback and job.code == 0 and equal, describe(job, equal))


def compare(work: Path, place: Path) -> Job:
    recipe, *rest = flags("reviews", work, "--num_train_epochs", "1")
    chosen = ["--strategies", "full", "--seeds", "0", "1", "--compare_dir", str(place)]
    return harness.run(["hfkit", "compare", "--recipe", recipe, *rest, *chosen], work / "T2b/out.txt", env=RANK)


def read_ledger(place: Path) -> list | None:
    try:
        contenders = json.loads((place / "ledger.json").read_text())["contenders"]
    except (OSError, ValueError):
        return None
    return [[contender[name] for name in ("name", "headline", "interval")] for contender in contenders]


def damage_predictions(work: Path, cases: Cases) -> None:
    """A prediction goes on behind what is whole, or begins anew: its answers are the same."""
    rows = work / "T2b/rows.jsonl"
    rows.write_text("".join(json.dumps({"text": f"anna likes rain {number}"}) + "\n" for number in range(3000)))
    whole, cut = work / "T2b/predicted", work / "T2b/cut"
    predict(work, make_empty(whole))
    wanted = digest(whole / "a.jsonl")
    job = harness.start(prediction(work, make_empty(cut)), work / "T2b/out.txt")
    while job.poll() is None and not (cut / STATE).exists():
        time.sleep(0.002)
    job.send(signal.SIGKILL)
    job.wait()
    state = json.loads((cut / STATE).read_text())
    part_changes = {
        "a flipped bit": flip,
        "half": DAMAGES["half"],
        "missing": None,
        "longer than noted": lambda content: content + b"xxxx",
        "zeros at its end, as after a power cut": lambda content: content[:-2000] + bytes(2000),
    }
    state_changes = {
        "empty": DAMAGES["empty"],
        "half": DAMAGES["half"],
        "missing": None,
        "a list": lambda content: b"[]",
        "-1 rows": lambda content: json.dumps(state | {"rows": -1}).encode(),
        "a row less": lambda content: json.dumps(state | {"rows": state["rows"] - 1}).encode(),
    }
    for name, changes in ((PART, part_changes), (STATE, state_changes)):
        for kind, change in changes.items():
            if cases.has(case := f"predict: {name} {kind}"):
                continue
            place = copy(cut, work / "T2b/damaged")
            change_file(place / name, change)
            job = predict(work, place)
            equal = digest(place / "a.jsonl") == wanted
            cases.add(case, job.code == 0 and equal, describe(job, equal))


def prediction(work: Path, place: Path) -> list[str]:
    rows = str(work / "T2b/rows.jsonl")
    return ["hfkit", "predict", str(work / "warm/reviews"), rows, "-o", str(place / "a.jsonl")]


def predict(work: Path, place: Path) -> Job:
    return harness.run(prediction(work, place), work / "T2b/out.txt")


def damage_activations(work: Path, cases: Cases) -> None:
    """Whatever lies in the cache, a run ends as it would have without it."""
    store, whole = work / "T2b/store", work / "T2b/trained"
    train(work, make_empty(whole), make_empty(store))
    wanted = find_outcome(whole)
    files = sorted(path.relative_to(store) for path in store.rglob("*") if path.is_file())
    for file in files[:5]:
        for kind, change in DAMAGES.items():
            if cases.has(case := f"activations: {file.name} {kind}"):
                continue
            damaged, place = copy(store, work / "T2b/damaged"), make_empty(work / "T2b/again")
            change_file(damaged / file, change)
            job = train(work, place, damaged)
            equal = find_outcome(place) == wanted
            cases.add(case, job.code == 0 and equal, describe(job, equal))


def train(work: Path, place: Path, store: Path) -> Job:
    plain = ["--num_train_epochs", "3", "--eval_strategy", "no", "--save_strategy", "no"]
    plain += ["--load_best_model_at_end", "false", "--output_dir", str(place), "--cache_dir", str(store)]
    return harness.run(flags("ner", work, *plain), work / "T2b/out.txt")


def damage_run_files(work: Path, cases: Cases) -> None:
    """The record of a run is named when it cannot be read, or the same command goes on."""
    whole = make_empty(work / "T2b/run")
    argv = ["--num_train_epochs", "1", "--resume_from_checkpoint", "auto", "--output_dir"]
    harness.run(flags("ner", work, *argv, str(whole)), work / "T2b/out.txt")
    for kind, change in DAMAGES.items():
        if cases.has(case := f"hfkit_run.json of the output_dir {kind}"):
            continue
        place = copy(whole, work / "T2b/damaged")
        change_file(place / "hfkit_run.json", change)
        job = harness.run(flags("ner", work, *argv, str(place)), work / "T2b/out.txt")
        cases.add(case, job.code in (0, 2) and not job.has_traceback, job.verdict)


def copy(whole: Path, place: Path) -> Path:
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(whole, place)
    return place


def change_file(file: Path, change: Callable[[bytes], bytes] | None) -> None:
    if change is None:
        file.unlink()
    else:
        file.write_bytes(change(file.read_bytes()))


def describe(job: Job, equal: bool) -> str:
    return f"{job.verdict}; {'the same result' if equal else 'ANOTHER RESULT' if job.code == 0 else 'no result'}"
