"""Runs the suite, or collects it; see the package's own words."""

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pyarrow import parquet

from benchmarks.suite import __doc__ as about
from benchmarks.suite.cells import SEEDS, Cell, chosen_rate, data_of, own_cell, stock_cell
from benchmarks.suite.sets import SETS, prepare


def main() -> None:
    parser = argparse.ArgumentParser(description=about.splitlines()[0], allow_abbrev=False)
    parser.add_argument("part", nargs="?", choices=("run", "collect"), default="run")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--weights", type=Path, default=Path("../shared/weights"))
    parser.add_argument("--only", nargs="+", choices=tuple(SETS), help="sets; default: all")
    parser.add_argument("--dev", action="store_true", help="the sets that defaults were chosen on, and no others")
    parser.add_argument("--sides", nargs="+", choices=("ours", "stock"), default=("ours", "stock"))
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS)
    parser.add_argument("--precisions", nargs="+", choices=("bf16", "fp32"), default=("bf16", "fp32"), help="of stock")
    parser.add_argument("--label", default="default", help="name of a try that is no default")
    parser.add_argument("--flags", default="", help="flags of that try, in quotes")
    parser.add_argument("--jobs", type=int, default=1)
    args = parser.parse_args()
    if args.part == "collect":
        from benchmarks.suite.tables import collect

        collect()
        return
    names = [name for name in args.only or SETS if SETS[name].dev or not args.dev]
    for name in names:
        prepare(SETS[name], args.data, data_of(name))
    for wave in waves(names, args):
        with ThreadPoolExecutor(args.jobs) as pool:
            list(pool.map(make, wave))


def waves(names: list[str], args: argparse.Namespace) -> Iterator[list[Cell]]:
    """All cells, seed by seed; what a wave runs may depend on what the waves before it found."""
    for seed in args.seeds:
        if "ours" in args.sides:
            flags = tuple(args.flags.split())
            yield [own_cell(name, SETS[name], args.weights, seed, args.label, flags) for name in names]
        if "stock" in args.sides:
            yield [
                stock_cell(name, SETS[name], count_rows(name), args.weights, rate, seed)
                for name in names
                for rate in rates_of(name, seed)
            ]
            if seed == 0 and "fp32" in args.precisions:
                yield [
                    stock_cell(name, SETS[name], count_rows(name), args.weights, rate, seed, "fp32")
                    for name in names
                    if (rate := chosen_rate(name, SETS[name]))
                ]


def rates_of(name: str, seed: int) -> list[str]:
    """The whole grid with seed 0, later the one that was best on validation."""
    if seed == 0:
        return list(SETS[name].rates)
    rate = chosen_rate(name, SETS[name])
    return [rate] if rate else []


def count_rows(name: str) -> int:
    return parquet.read_metadata(data_of(name) / "train.parquet").num_rows


def make(cell: Cell) -> None:
    """Run a cell that has no result yet, on one thread; its output lies beside it."""
    path, command = cell
    if path.is_file():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    with path.with_suffix(".log").open("w") as log:
        done = subprocess.run([sys.executable, "-m", *command], stdout=log, stderr=subprocess.STDOUT, env=environment)
    print(f"{path.parent.name}/{path.stem}: {'done' if done.returncode == 0 else 'FAILED, see its log'}", flush=True)


if __name__ == "__main__":
    main()
