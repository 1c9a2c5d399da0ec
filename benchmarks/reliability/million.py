"""T13m: a million rows predicted in flat memory, every one with its answer, in order. About half an hour of CPU."""

from pathlib import Path

from benchmarks.reliability.cases import Case, Cases
from benchmarks.reliability.harness import prepare
from benchmarks.reliability.soak import predict_many

PREDICTED = 1_000_000  # rows


def run(work: Path) -> list[Case]:
    prepare(work)
    cases = Cases("T13m", work)
    predict_many(work, cases, PREDICTED)
    return cases
