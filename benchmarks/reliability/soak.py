"""T13: long runs: rows by the hundred thousand in flat memory, rotations, and caches whose builders were killed."""

import json
import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from benchmarks.reliability import harness
from benchmarks.reliability.cases import Case, Cases
from benchmarks.reliability.harness import COUNT, KILL, Job, calls, flags, list_tree, make_empty, prepare
from benchmarks.reliability.material import LIKED, PEOPLE, THINGS

PREDICTED = 200_000  # rows
TRAINED = 50_000  # rows, for two epochs of the head on a frozen encoder
ROTATED = 200  # checkpoints
KEPT = 3
FLAT = 1.05  # memory in the last quarter of a run, as a multiple of that in its second quarter
LONG = 3 * 3600  # seconds that a run may take
NAMED = re.compile(r"[0-9a-f]{32}")


def run(work: Path) -> list[Case]:
    prepare(work)
    cases = Cases("T13", work)
    leave_half_built_stores(work, cases)
    rotate(work, cases)
    predict_many(work, cases, PREDICTED)
    train_on_many(work, cases)
    return cases


@dataclass
class Samples:
    """Memory and open files of a run, over time."""

    memory: list[float] = field(default_factory=list)  # MiB that belong to the process alone
    files: list[int] = field(default_factory=list)

    @property
    def is_flat(self) -> bool:
        early, late = self._of_quarter(1), self._of_quarter(3)
        return len(self.memory) >= 8 and median(late) <= FLAT * median(early)

    def _of_quarter(self, number: int) -> list[float]:
        size = len(self.memory) // 4
        return self.memory[number * size : (number + 1) * size]

    def describe(self) -> str:
        if len(self.memory) < 8:
            return "too short a run to tell"
        early, late = median(self._of_quarter(1)), median(self._of_quarter(3))
        return f"{early:.0f} MiB in its second quarter, {late:.0f} in its last, at most {max(self.memory):.0f}"


def watch(argv: Sequence[str], out: Path, every: float = 0.5) -> tuple[Job, Samples]:
    """Run a child, and take samples until it has ended."""
    job, samples, end = harness.start(argv, out), Samples(), time.monotonic() + LONG
    while job.poll() is None and time.monotonic() < end:
        try:
            status = Path(f"/proc/{job.process}/status").read_text()
            samples.files.append(len(os.listdir(f"/proc/{job.process}/fd")))
            samples.memory.append(int(re.search(r"RssAnon:\s+(\d+)", status)[1]) / 1024)
        except (OSError, TypeError):  # it has just ended
            pass
        time.sleep(every)
    job.wait(1)
    return job, samples


def predict_many(work: Path, cases: Cases, count: int) -> None:
    """Every row has its answer, in order, and memory does not grow with their number."""
    if cases.has(case := f"predict: {count:,} rows"):
        return
    rows, output = make_empty(work / "T13") / "rows.jsonl", work / "T13/answers.jsonl"
    write_texts(rows, count)
    argv = ["hfkit", "predict", str(work / "warm/reviews"), str(rows), "-o", str(output)]
    begun = time.monotonic()
    job, samples = watch(argv, work / "T13/out.txt")
    seconds, in_order = time.monotonic() - begun, 0
    if output.is_file():
        with output.open() as answers, rows.open() as asked:
            pairs = zip(answers, asked, strict=False)
            in_order = sum(json.loads(one)["text"] == json.loads(other)["text"] for one, other in pairs)
    good = job.code == 0 and samples.is_flat and in_order == count
    cases.add(case, good, f"{job.verdict}; {in_order:,} in order; {samples.describe()}; {seconds:.0f} s")


def write_texts(file: Path, count: int, *, labels: bool = False) -> None:
    with file.open("w") as lines:
        for number in range(count):
            row = {"text": f"{PEOPLE[number % 4]} {LIKED[number % 2]} {THINGS[number % 3]} {number}"}
            if labels:
                row["label"] = ("negative", "positive")[number % 2]
            lines.write(json.dumps(row) + "\n")


def train_on_many(work: Path, cases: Cases) -> None:
    """Two epochs on stored activations, in memory that does not grow."""
    if cases.has(case := f"a frozen encoder, {TRAINED:,} rows, two epochs"):
        return
    rows = make_empty(work / "T13/many")
    for split, count in (("train", TRAINED), ("validation", 100), ("test", 100)):
        write_texts(rows / f"{split}.jsonl", count, labels=True)
    more = ["--dataset", str(rows), "--strategy", "feature-extraction", "--num_train_epochs", "2"]
    more += ["--per_device_train_batch_size", "64", "--eval_strategy", "no", "--save_strategy", "no"]
    more += ["--load_best_model_at_end", "false", "--baseline", "majority", "--output_dir", str(work / "T13/trained")]
    job, samples = watch(flags("reviews", work, *more), work / "T13/out.txt")
    cases.add(case, job.code == 0 and samples.is_flat, f"{job.verdict}; {samples.describe()}")


def rotate(work: Path, cases: Cases) -> None:
    """Checkpoints come and go; neither folders, nor files, nor memory pile up."""
    if cases.has(case := f"{ROTATED} checkpoints, of which {KEPT} are kept"):
        return
    place = make_empty(work / "T13/rotated")
    more = ["--max_steps", str(ROTATED), "--save_strategy", "steps", "--save_steps", "1", "--eval_strategy", "no"]
    more += ["--load_best_model_at_end", "false", "--save_total_limit", str(KEPT), "--output_dir", str(place)]
    job, samples = watch(flags("ner", work, *more), work / "T13/out.txt", every=0.1)
    folders = sorted(path.name for path in place.glob("*checkpoint-*"))
    files = median(samples.files[-10:]) - median(samples.files[len(samples.files) // 4 :][:10])
    good = job.code == 0 and samples.is_flat and len(folders) <= KEPT and files <= 2
    cases.add(case, good, f"{job.verdict}; {', '.join(folders)}; {files:+.0f} open files; {samples.describe()}")


def leave_half_built_stores(work: Path, cases: Cases) -> None:
    """Killed while activations are stored, three times; after a whole run nothing is left but whole stores."""
    if cases.has(case := "three kills while a cache is built, then a whole run"):
        return
    log, store = work / "T13-calls.txt", work / "T13/cache"
    harness.run(train_with_cache(work, store), work / "T13/out.txt", fault=(COUNT, store, -1, log))
    last = max(number for number, call, _ in calls(log) if call == "write")
    make_empty(store)
    left = []
    for share in (0.3, 0.6, 0.9):
        fault = (KILL, store, max(2, int(share * last)), None)
        harness.run(train_with_cache(work, store), work / "T13/out.txt", fault=fault)
        left.append(sum(path.is_dir() for path in (store / "activations").iterdir()))
    job = harness.run(train_with_cache(work, store), work / "T13/out.txt")
    stays = sorted(path.name for path in (store / "activations").iterdir())
    good = job.code == 0 and max(left) > 0 and stays and all(NAMED.fullmatch(name) for name in stays)
    counted = f"{left} half-built stores after each kill, {len(stays)} whole ones and"
    litter = [name for name in stays if not NAMED.fullmatch(name)]
    cases.add(
        case,
        bool(good),
        f"{job.verdict}; {counted} {litter or 'nothing else'} in the end, {len(list_tree(store))} files",
    )


def train_with_cache(work: Path, store: Path) -> list[str]:
    more = ["--num_train_epochs", "3", "--eval_strategy", "no", "--save_strategy", "no"]
    more += ["--load_best_model_at_end", "false", "--cache_dir", str(store), "--overwrite_output_dir", "true"]
    return flags("ner", work, *more, "--output_dir", str(work / "T13/run"))
