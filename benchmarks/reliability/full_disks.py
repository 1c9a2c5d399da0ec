"""T3: a full disk, mounted small or full from a chosen call on: one line says so, the old state stays, and it goes on.

Small disks are mounted, so this test has to be run by root. What is asked of a case: exit code 1 or 2 and one line that
says that there is no room, or going on without a cache; what was there before is still there; and the same command
ends, with room, as if nothing had happened.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import datasets
from datasets import Dataset

from benchmarks.reliability import harness
from benchmarks.reliability.cases import Case, Cases
from benchmarks.reliability.harness import (
    COUNT,
    NO_ROOM,
    PROJECT,
    STEPS,
    Job,
    calls,
    digest,
    find_outcome,
    flags,
    list_tree,
    make_empty,
    prepare,
)
from benchmarks.reliability.other_files import RANK, copy

SAYS_SO = re.compile(r"no room|No space left|full", re.IGNORECASE)
OF_CHECKPOINT = ("model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json")
OF_CHECKPOINT += ("hfkit_run.json", "tokenizer.json")
RESULTS = ("model.safetensors", "report.json", "report.html", "README.md")


def run(work: Path) -> list[Case]:
    prepare(work)
    cases = Cases("T3", work)
    for fill in (
        fill_up_with_checkpoints,
        fill_at_files_of_a_checkpoint,
        fill_at_results,
        fill_caches,
        fill_datasets_cache,
        fill_at_predictions,
        fill_at_comparison,
        fill_at_export,
        fill_at_push,
    ):
        fill(work, cases)
    return cases


class Disk:
    """A small disk of its own."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def resize(self, size: int) -> None:
        """Give it another size, in kB."""
        subprocess.run(["mount", "-o", f"remount,size={size}k", self.place], check=True)


@contextmanager
def mount(work: Path, size: int) -> Iterator[Disk]:
    """A disk of so many kB until the block ends."""
    place = work / "T3/disk"
    place.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", place], check=True)
    try:
        yield Disk(place)
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def is_clear(job: Job) -> bool:
    """Whether a run said in one line that there is no room."""
    return job.code in (1, 2) and not job.has_traceback and bool(SAYS_SO.search(job.error))


def train(work: Path, place: Path, *more: str, **options) -> Job:
    return harness.run(flags("ner", work, *STEPS, "--output_dir", str(place), *more), work / "T3/out.txt", **options)


def find_reference(work: Path) -> tuple[Path, dict]:
    """A run that had room, whose calls are listed in T3/calls.txt, and its outcome."""
    place = work / "T3/whole"
    if not (place / "report.json").is_file():
        train(work, make_empty(place), fault=(COUNT, place, -1, work / "T3/calls.txt"))
    return place, find_outcome(place)


def add_again(cases: Cases, case: str, first: Job, second: Job, equal: bool, *, kept: bool = True) -> None:
    """Add a case in which the first command had no room, and the second one had."""
    good = is_clear(first) and kept and second.code == 0 and equal
    with_room = f"with room {second.verdict}, {'the same result' if equal else 'ANOTHER RESULT'}"
    cases.add(case, good, f"{first.verdict}; {'' if kept else 'THE OLD STATE IS GONE; '}{with_room}")


def fill_up_with_checkpoints(work: Path, cases: Cases) -> None:
    whole, wanted = find_reference(work)
    size = sum(list_tree(max(whole.glob("checkpoint-*"))).values()) // 1024
    for room in (0.5, 1.5, 2.2, 2.9):
        if cases.has(case := f"a disk with room for {room} checkpoints"):
            continue
        with mount(work, int(size * room) + 40) as disk:
            place = disk.place / "run"
            first = train(work, place)
            disk.resize(size * 40)
            second = train(work, place)
            add_again(cases, case, first, second, find_outcome(place) == wanted)


def fill_at_files_of_a_checkpoint(work: Path, cases: Cases) -> None:
    _, wanted = find_reference(work)
    listed = calls(work / "T3/calls.txt")
    for name in OF_CHECKPOINT:
        found = [number for number, call, path in listed if call == "write" and is_in_checkpoint(path, name)]
        case = f"no room from {name} of a checkpoint on"
        if not found or cases.has(case):
            continue
        place = make_empty(work / "T3/run")
        first = train(work, place, fault=(NO_ROOM, place, found[0], None))
        second = train(work, place)
        add_again(cases, case, first, second, find_outcome(place) == wanted)


def is_in_checkpoint(path: str, name: str) -> bool:
    """Whether a path is that of a file of checkpoint-12, under whatever name it is written."""
    *_, folder, file = path.split("/")
    return "checkpoint-12" in folder and bool(name_hidden(name).fullmatch(file))


def name_hidden(name: str) -> re.Pattern[str]:
    """The names under which a file may be written before it gets its own; safetensors has one of its own kind."""
    names = rf"[._]?{re.escape(name)}[^/]*"
    return re.compile(rf"{names}|\.tmp\w+" if name == "model.safetensors" else names)


def fill_at_results(work: Path, cases: Cases) -> None:
    """The same command over a finished run, which ends it once more."""
    whole, wanted = find_reference(work)
    for name in RESULTS:
        if cases.has(case := f"no room from {name} of a finished run on"):
            continue
        place = copy(whole, work / "T3/run")
        train(work, place, fault=(COUNT, place, -1, work / "T3/again.txt"))
        found = find_writes(work / "T3/again.txt", place, name)
        if found:
            place = copy(whole, place)
        else:  # the weights of a run that has ended may not be written again: one that ends for the first time
            found, place = find_writes(work / "T3/calls.txt", whole, name), make_empty(place)
        before = {file: digest(place / file) for file in RESULTS}
        first = train(work, place, fault=(NO_ROOM, place, found[0], None))
        lost = [file for file in RESULTS if before[file] and digest(place / file) is None]
        second = train(work, place)
        add_again(cases, case, first, second, find_outcome(place) == wanted, kept=not lost)


def find_writes(log: Path, folder: Path, name: str) -> list[int]:
    """The numbers of the calls that write a result of a run: in its folder or where the model is put together."""
    mine = [(number, Path(path)) for number, call, path in calls(log) if call == "write"]
    places = [(number, path) for number, path in mine if "checkpoint-" not in str(path.relative_to(folder))]
    return [number for number, path in places if name_hidden(name).fullmatch(path.name)]


def fill_caches(work: Path, cases: Cases) -> None:
    """Training goes on without a cache, and ends as one without a cache, or with one."""
    off, on = make_empty(work / "T3/off"), make_empty(work / "T3/on")
    train(work, off, "--prefix_cache", "false")
    train(work, on, "--cache_dir", str(work / "T3/cache"))
    wanted = [find_outcome(off)["weights"], find_outcome(on)["weights"]]
    plain = make_empty(work / "T3/pictures")
    train_on_pictures(work, plain)
    decoded = [find_outcome(plain)["weights"]]

    def add(case: str, job: Job, place: Path, wanted: list) -> None:
        equal = find_outcome(place)["weights"] in wanted
        said = re.findall(r"(?:Prefix cache off|Image cache).*|pictures are not kept.*", job.text)[:1]
        cases.add(case, job.code == 0 and equal, f"{job.verdict}; {'the same' if equal else 'OTHER'} weights; {said}")

    for room in (60, 200):
        if not cases.has(case := f"activations: a cache_dir with {room} kB"):
            with mount(work, room) as disk:
                place = make_empty(work / "T3/run")
                add(case, train(work, place, "--cache_dir", str(disk.place / "cache")), place, wanted)
    if not cases.has(case := "pictures: a cache_dir with 24 kB"):
        with mount(work, 24) as disk:
            place = make_empty(work / "T3/run")
            add(case, train_on_pictures(work, place, "--cache_dir", str(disk.place / "cache")), place, decoded)
    for number in (1, 2, 4):
        place = make_empty(work / "T3/run")
        fault, cache = (NO_ROOM, place / "cache", number, None), ("--cache_dir", str(place / "cache"))
        if not cases.has(case := f"activations: no room from call {number} of the cache on"):
            add(case, train(work, place, *cache, fault=fault), place, wanted)
        if not cases.has(case := f"pictures: no room from call {number} of the cache on"):
            add(case, train_on_pictures(work, make_empty(place), *cache, fault=fault), place, decoded)


def train_on_pictures(work: Path, place: Path, *more: str, **options) -> Job:
    argv = flags("images", work, "--num_train_epochs", "2", "--output_dir", str(place), *more)
    return harness.run(argv, work / "T3/out.txt", **options)


def fill_datasets_cache(work: Path, cases: Cases) -> None:
    """Rows of parquet files, which `datasets` copies into its cache."""
    if cases.has(case := "rows: the cache of datasets is full"):
        return
    rows = make_empty(work / "T3/parquet")
    for split in ("train", "validation", "test"):
        texts = [{"text": f"{split} {number} likes rain", "label": "ab"[number % 2]} for number in range(20_000)]
        Dataset.from_list(texts).to_parquet(rows / f"{split}.parquet")
    with mount(work, 100) as disk:
        recipe, *rest = flags("reviews", work, "--num_train_epochs", "1", "--dataset", str(rows))
        argv = [recipe, *rest, "--max_train_rows", "64", "--output_dir", str(make_empty(work / "T3/run"))]

        def move_cache() -> None:
            datasets.config.HF_DATASETS_CACHE = disk.place / "cache"

        first = harness.run(argv, work / "T3/out.txt", before=move_cache)
        disk.resize(60_000)
        second = harness.run(argv, work / "T3/out.txt", before=move_cache)
        add_again(cases, case, first, second, find_outcome(work / "T3/run")["report"] is not None)


def fill_at_predictions(work: Path, cases: Cases) -> None:
    rows, model = work / "T3/rows.jsonl", str(work / "warm/reviews")
    rows.write_text("".join(json.dumps({"text": f"anna likes rain {number}"}) + "\n" for number in range(3000)))
    whole = make_empty(work / "T3/predicted") / "a.jsonl"
    harness.run(["hfkit", "predict", model, str(rows), "-o", str(whole)], work / "T3/out.txt")
    if not cases.has(case := "predict: room for some of the answers"):
        with mount(work, 120) as disk:
            output = disk.place / "a.jsonl"
            output.write_text("old answers\n")
            argv = ["hfkit", "predict", model, str(rows), "-o", str(output)]
            first = harness.run(argv, work / "T3/out.txt")
            kept = output.read_text() == "old answers\n"
            disk.resize(9000)
            second = harness.run(argv, work / "T3/out.txt")
            went_on = "going on behind them" in second.text
            add_again(cases, case, first, second, digest(output) == digest(whole) and went_on, kept=kept)
    if not cases.has(case := "predict: standard output is full"):
        command = [sys.executable, "-m", "hfkit.cli", "predict", model, "--text", "anna"]
        with open("/dev/full", "w") as full:
            ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, cwd=PROJECT)
        said = ended.stderr.strip().splitlines()[-1:]
        good = ended.returncode in (1, 2) and "Traceback" not in ended.stderr and SAYS_SO.search("".join(said))
        cases.add(case, bool(good), f"exit code {ended.returncode}: {said}")


def fill_at_comparison(work: Path, cases: Cases) -> None:
    recipe, *rest = flags("reviews", work, "--num_train_epochs", "1")
    chosen = ["--strategies", "full", "--seeds", "0", "1", "--compare_dir"]
    for room in (24, 150):
        if cases.has(case := f"compare: {room} kB for its runs"):
            continue
        with mount(work, room) as disk:
            argv = ["hfkit", "compare", "--recipe", recipe, *rest, *chosen, str(disk.place / "comparison")]
            first = harness.run(argv, work / "T3/out.txt", env=RANK)
            disk.resize(60_000)
            second = harness.run(argv, work / "T3/out.txt", env=RANK)
            ledger = disk.place / "comparison/ledger.json"
            failed = json.loads(ledger.read_text())["failed"] if ledger.is_file() else "no ledger"
            add_again(cases, case, first, second, failed == [])


def fill_at_export(work: Path, cases: Cases) -> None:
    if cases.has(case := "export: room for a part of the graph beside an earlier export"):
        return
    saved = copy(work / "warm/reviews", work / "T3/saved")
    job = harness.run(["hfkit", "export", str(saved)], work / "T3/out.txt")
    if job.code != 0:
        cases.add(case, False, f"it fails with room: {job.verdict}")
        return
    size = sum(list_tree(saved / "onnx").values()) // 1024
    with mount(work, int(size * 1.6) + 40) as disk:
        folder = disk.place / "onnx"
        shutil.copytree(saved / "onnx", folder)
        before = {name: digest(folder / name) for name in list_tree(folder)}
        argv = ["hfkit", "export", str(saved), "--output_dir", str(folder)]
        first = harness.run(argv, work / "T3/out.txt")
        kept = {name: digest(folder / name) for name in list_tree(folder)} == before
        kept = kept and [path.name for path in disk.place.iterdir()] == ["onnx"]
        disk.resize(size * 10)
        second = harness.run(argv, work / "T3/out.txt")
        add_again(cases, case, first, second, list_tree(folder).keys() == before.keys(), kept=kept)


def fill_at_push(work: Path, cases: Cases) -> None:
    if cases.has(case := "push --dry-run: no room for temporary files"):
        return
    with mount(work, 64) as disk:
        argv = ["hfkit", "push", str(work / "warm/reviews"), "me/x", "--dry-run"]
        job = harness.run(argv, work / "T3/out.txt", before=lambda: setattr(tempfile, "tempdir", str(disk.place)))
        cases.add(case, is_clear(job), job.verdict)
