"""T1: kill -9, and the same command again ends bit for bit like a run that nobody killed.

Forty kills at chosen calls: one of every kind and every file of a checkpoint, of the mark that training ended, and of
the results, a write being done by half. Two hundred at calls and moments drawn at random: in training, with caches, in
predictions and in a comparison.
"""

import json
import random
import re
import signal
import time
from pathlib import Path

from benchmarks.reliability import harness
from benchmarks.reliability.cases import Case, Cases
from benchmarks.reliability.harness import (
    COUNT,
    KILL,
    STEPS,
    Job,
    calls,
    digest,
    find_outcome,
    flags,
    make_empty,
    prepare,
)
from benchmarks.reliability.other_files import RANK

CHOSEN = 40
# Kills that are drawn at random: at calls that change files, and at moments.
DRAWN = {"training": (90, 40), "cache": (15, 5), "pictures": (10, 0), "predict": (15, 5), "compare": (16, 4)}
NUMBERED = re.compile(r"\d+|\.tmp\w+|[0-9a-f]{12,}")


class Kind:
    """One command that is killed: how it is started with an output folder, and what it leaves."""

    def __init__(self, work: Path, name: str) -> None:
        self.work, self.name = work, name
        self.place, self.whole = work / "T1" / f"{name}-run", work / "T1" / f"{name}-whole"
        self.log = work / "T1" / f"{name}.calls"

    def command(self, place: Path) -> list[str]:
        auto = ["--resume_from_checkpoint", "auto"]
        if self.name == "training":
            return flags("ner", self.work, *STEPS, "--output_dir", str(place))
        if self.name == "cache":
            more = ["--num_train_epochs", "3", "--cache_dir", str(place / "cache")]
            return flags("ner", self.work, *auto, *more, "--output_dir", str(place))
        if self.name == "pictures":
            more = ["--num_train_epochs", "2", "--cache_dir", str(place / "cache")]
            return flags("images", self.work, *auto, *more, "--output_dir", str(place))
        if self.name == "predict":
            rows = self.work / "T1/rows.jsonl"
            rows.write_text("".join(json.dumps({"text": f"anna likes rain {number}"}) + "\n" for number in range(3000)))
            model = str(self.work / "warm/reviews")
            return ["hfkit", "predict", model, str(rows), "-o", str(place / "a.jsonl")]
        recipe, *rest = flags("reviews", self.work, "--num_train_epochs", "1")
        ways = ["--strategies", "full", "feature-extraction", "--seeds", "0", "1"]
        return ["hfkit", "compare", "--recipe", recipe, *rest, *ways, "--compare_dir", str(place)]

    def run(self, place: Path, **options) -> Job:
        env = RANK if self.name == "compare" else {}
        return harness.run(self.command(place), self.work / "T1/out.txt", env=env, **options)

    def start(self, place: Path) -> Job:
        env = RANK if self.name == "compare" else {}
        return harness.start(self.command(place), self.work / "T1/out.txt", env=env)

    def outcome(self, place: Path) -> object:
        if self.name == "predict":
            return digest(place / "a.jsonl")
        if self.name != "compare":
            return find_outcome(place)
        try:
            ledger = json.loads((place / "ledger.json").read_text())
        except (OSError, ValueError) as error:
            return repr(error)
        kept = ("name", "headline", "spread", "interval")
        return [[contender[name] for name in kept] for contender in ledger["contenders"]]


def run(work: Path) -> list[Case]:
    prepare(work)
    cases, draw = Cases("T1", work), random.Random(1)
    kills: list[tuple[Kind, str, int | float]] = []
    seconds: dict[str, float] = {}
    for name, (at_calls, at_moments) in DRAWN.items():
        kind = Kind(work, name)
        begun = time.monotonic()
        if not kind.log.is_file():
            kind.run(make_empty(kind.whole), fault=(COUNT, kind.whole, -1, kind.log))
            kind.log.with_suffix(".seconds").write_text(f"{time.monotonic() - begun}")
        seconds[name] = float(kind.log.with_suffix(".seconds").read_text())
        listed = calls(kind.log)
        kills += [
            (kind, "call", number) for number in draw.sample([n for n, _, _ in listed], min(at_calls, len(listed)))
        ]
        kills += [(kind, "moment", draw.uniform(0.2, seconds[name])) for _ in range(at_moments)]
    draw.shuffle(kills)
    training = Kind(work, "training")
    kills = [(training, "chosen call", number) for number in choose(calls(training.log), draw)] + kills
    for kind, how, where in kills:
        kill(cases, kind, how, where)
    return cases


def choose(listed: list[tuple[int, str, str]], draw: random.Random) -> list[int]:
    """Numbers of calls: one of every kind and every file first, and then any."""
    listed = draw.sample(listed, len(listed))
    kinds: dict[tuple[str, str], int] = {}
    for number, call, path in listed:
        kinds.setdefault((call, NUMBERED.sub("*", Path(path).name)), number)
    first = list(kinds.values())
    return [*first, *(number for number, _, _ in listed if number not in first)][:CHOSEN]


def kill(cases: Cases, kind: Kind, how: str, where: int | float) -> None:
    event = {number: f"{call} {Path(path).relative_to(kind.whole)}" for number, call, path in calls(kind.log)}
    place = f"{how} {where}, {event[where]}" if isinstance(where, int) else f"after {where:.2f} s"
    case = f"{kind.name}: {place}"
    if cases.has(case):
        return
    make_empty(kind.place)
    if isinstance(where, int):
        job = kind.run(kind.place, fault=(KILL, kind.place, where, None))
    else:
        job = kind.start(kind.place)
        time.sleep(where)
        job.send(signal.SIGKILL)
        job.wait()
    again = kind.run(kind.place)
    equal = kind.outcome(kind.place) == kind.outcome(kind.whole)
    killed = job.code == -signal.SIGKILL or not isinstance(where, int)
    told = f"{'killed' if job.code == -signal.SIGKILL else job.verdict}, then {again.verdict}"
    cases.add(case, killed and again.code == 0 and equal, f"{told}, {'equal' if equal else 'DIFFERENT'}")
