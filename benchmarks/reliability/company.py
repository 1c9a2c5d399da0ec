"""concurrency: two commands at a time, with one cache, one comparison, one output; the parent of workers is killed.

What can be shared is shared, and comes out as it does alone. What cannot is refused, and does not disturb the first.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from benchmarks.reliability import harness
from benchmarks.reliability.cases import Case, Cases
from benchmarks.reliability.harness import PROJECT, Job, digest, find_outcome, flags, make_empty, prepare

RANK = {"RANK": 0, "WORLD_SIZE": 2, "LOCAL_RANK": 0}  # `compare` then runs its cells in its own process
CACHED = ["--num_train_epochs", "3", "--eval_strategy", "no", "--save_strategy", "no"]
CACHED += ["--load_best_model_at_end", "false"]
HELD = re.compile(r"it is in use by process (\d+) on \S+, since 2\d{3}-")
LONG = ["--num_train_epochs", "6", "--logging_steps", "10"]


def run(work: Path) -> list[Case]:
    prepare(work)
    cases, made = Cases("concurrency", work), make_empty(work / "concurrency")
    for share in (share_caches, share_features, share_comparisons, export_twice):
        share(work, made, cases)
    for disturb in (train_twice, predict_twice, kill_parents):
        disturb(work, made, cases)
    return cases


def share_caches(work: Path, made: Path, cases: Cases) -> None:
    """One folder of activations, or of pictures, for two runs that begin together or one after the other."""
    for kind, delays in (("ner", (0, 0.5, 1.5)), ("images", (0, 0.5))):
        for delay in delays:
            if cases.has(case := f"one cache for two runs ({kind}), {delay} s apart"):
                continue
            place = make_empty(made / "cached")

            def command(name: str, kind: str = kind, place: Path = place) -> list[str]:
                cache = "alone" if name == "whole" else "cache"
                more = [*CACHED, "--cache_dir", str(place / cache), "--output_dir", str(place / name)]
                return flags(kind, work, *more)

            harness.run(command("whole"), made / "whole.txt")
            first, second = start_two(made, command("a"), command("b"), delay)
            equal = find_outcome(place / "a") == find_outcome(place / "b") == find_outcome(place / "whole")
            cases.add(case, first.code == second.code == 0 and equal, tell(first, second, equal))


def share_features(work: Path, made: Path, cases: Cases) -> None:
    if cases.has(case := "one --features_dir for two runs"):
        return
    place = make_empty(made / "features")
    probe = ["--baseline", "linear-probe", "--num_train_epochs", "1", "--output_dir"]

    def command(name: str, features: str) -> list[str]:
        return flags("reviews", work, *probe, str(place / name), "--features_dir", str(place / features))

    harness.run(command("whole", "alone"), made / "whole.txt")
    first, second = start_two(made, command("a", "shared"), command("b", "shared"))
    equal = find_outcome(place / "a") == find_outcome(place / "b") == find_outcome(place / "whole")
    cases.add(case, first.code == second.code == 0 and equal, tell(first, second, equal))


def share_comparisons(work: Path, made: Path, cases: Cases) -> None:
    for delay in (0, 3):
        if cases.has(case := f"one --compare_dir for two comparisons, {delay} s apart"):
            continue
        place = make_empty(made / "comparison")
        command = comparison(work, place)
        first, second = start_two(made, command, command, delay, env=RANK)
        whole = first.code == second.code == 0 and not json.loads((place / "ledger.json").read_text())["failed"]
        cases.add(case, whole, tell(first, second, whole))


def comparison(work: Path, place: Path) -> list[str]:
    recipe, *rest = flags("reviews", work, "--num_train_epochs", "1")
    chosen = ["--strategies", "full", "feature-extraction", "--seeds", "0", "1", "--compare_dir", str(place)]
    return ["hfkit", "compare", "--recipe", recipe, *rest, *chosen]


def export_twice(work: Path, made: Path, cases: Cases) -> None:
    """In processes that are not forked: the libraries that write graphs wait for threads that a fork leaves behind."""
    if cases.has(case := "two exports of one model to one folder"):
        return
    place = make_empty(made / "export")
    command = [sys.executable, "-m", "hfkit.cli", "export", str(work / "warm/reviews"), "--output_dir", str(place)]
    both = [start_process(command, made / f"export-{number}.txt") for number in (1, 2)]
    codes = [process.wait() for process in both]
    record = json.loads((place / "export.json").read_text()) if (place / "export.json").is_file() else None
    cases.add(case, codes == [0, 0] and bool(record), f"exit codes {codes[0]} and {codes[1]}")


def start_process(command: list[str], out: Path) -> subprocess.Popen:
    environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    with out.open("w") as stream:
        return subprocess.Popen(command, env=environment, cwd=PROJECT, stdout=stream, stderr=stream)


def train_twice(work: Path, made: Path, cases: Cases) -> None:
    """A second run in the output directory of one that is alive."""

    def command(place: Path, *more: str) -> list[str]:
        return flags("ner", work, *LONG, *more, "--output_dir", str(place))

    harness.run(command(whole := make_empty(made / "trained")), made / "whole.txt")
    auto = ["--resume_from_checkpoint", "auto"]
    seconds: dict[str, tuple[list[str], Callable[[Path], object]]] = {
        "a second run as the first one begins": ([], is_held),
        "a second run that resumes": (auto, has_checkpoint),
        "a second run after two epochs of the first one": ([], has_two),
        "a second run with another seed": (["--seed", "7"], has_checkpoint),
        "a second run with --overwrite_output_dir": (["--overwrite_output_dir"], has_checkpoint),
    }
    for case, (more, ready) in seconds.items():
        if cases.has(case):
            continue
        place = make_empty(made / "shared")
        first = harness.start(command(place), made / "first.txt")
        wait(lambda first=first, ready=ready, place=place: ready(place) or first.poll() is not None)
        second = harness.run(command(place, *more), made / "second.txt")
        alive = first.poll() is None
        first.wait()
        equal = find_outcome(place) == find_outcome(whole)
        told = HELD.search(second.error)
        named = told is not None and int(told[1]) == first.process
        good = alive and first.code == 0 and equal and second.code == 2 and named
        cases.add(case, good, tell(first, second, equal))
    if not cases.has(case := "another seed after the first one has ended"):
        second = harness.run(command(whole, "--seed", "7"), made / "second.txt")
        cases.add(case, second.code == 2 and "a different run" in second.error, second.verdict)


def is_held(place: Path) -> bool:
    return (place / ".hfkit.lock").is_file()


def has_checkpoint(place: Path, count: int = 1) -> bool:
    numbers = [int(path.name.removeprefix("checkpoint-")) for path in place.glob("checkpoint-*")]
    return max(numbers, default=0) >= 24 * count  # steps of an epoch


def has_two(place: Path) -> bool:
    return has_checkpoint(place, 2)


def predict_twice(work: Path, made: Path, cases: Cases) -> None:
    rows = made / "rows.txt"
    rows.write_text("".join(f"anna likes rain {number}.\n" for number in range(6000)))
    asked = ["hfkit", "predict", str(work / "warm/reviews"), str(rows), "-o"]
    harness.run([*asked, str(made / "whole.jsonl")], made / "whole.txt")
    for more in ([], ["--batch_size", "8"], ["--format", "csv"]):
        if cases.has(case := " ".join(["two predictions to one file", *more])):
            continue
        place = make_empty(made / "predicted")
        first = harness.start([*asked, str(place / "a.jsonl")], made / "first.txt")
        wait(lambda place=place, first=first: list(place.glob("*.part")) or first.poll() is not None)
        second = harness.run([*asked, str(place / "a.jsonl"), *more], made / "second.txt")
        alive = first.poll() is None
        first.wait()
        equal = digest(place / "a.jsonl") == digest(made / "whole.jsonl")
        good = alive and first.code == 0 and equal and second.code == 2 and HELD.search(second.error) is not None
        cases.add(case, good, tell(first, second, equal))


def kill_parents(work: Path, made: Path, cases: Cases) -> None:
    """kill -9 of `hfkit compare`, while its workers import, and while they train."""
    for when in ("import", "train"):
        if cases.has(case := f"kill -9 of a comparison whose workers {when}"):
            continue
        place = make_empty(made / "comparison")
        command = [sys.executable, "-m", "hfkit.cli", *comparison(work, place)[1:], "--jobs", "2"]
        parent = start_process(command, made / "compare.txt")
        own = psutil.Process(parent.pid)
        wait(lambda own=own: len(own.children()) == 2)
        if when == "train":
            wait(lambda place=place: any((place / "cells").glob("*.json")))
        workers = own.children(recursive=True)
        parent.kill()
        parent.wait()
        _, left = psutil.wait_procs(workers, timeout=30)
        for worker in left:
            worker.kill()
        again = harness.run(comparison(work, place), made / "second.txt", env=RANK)
        said = f"{len(left)} of {len(workers)} workers live on after 30 s, then {again.verdict}"
        cases.add(case, bool(workers) and not left and again.code == 0, said)
        shutil.rmtree(place)


def start_two(
    made: Path, one: list[str], other: list[str], delay: float = 0, env: dict[str, object] | None = None
) -> tuple[Job, Job]:
    """Two commands that run at the same time, when both have ended."""
    first = harness.start(one, made / "first.txt", env=env)
    time.sleep(delay)
    second = harness.start(other, made / "second.txt", env=env)
    first.wait()
    second.wait()
    return first, second


def wait(until: Callable[[], object], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not until() and time.monotonic() < end:
        time.sleep(0.01)


def tell(first: Job, second: Job, equal: bool) -> str:
    return f"{first.verdict}; {second.verdict}; {'equal' if equal else 'DIFFERENT'}"
