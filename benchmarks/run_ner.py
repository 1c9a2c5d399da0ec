r"""Runs every cell of the NER benchmark that has no result yet, some at a time; collect.py gathers them.

    python benchmarks/run_ner.py wnut17 --dataset path/to/wnut17 --jobs 2

A cell is one training run on one thread; a killed benchmark continues where it was. WNUT-17 holds the grid of the stock
Trainer, every strategy once, and three seeds of what is compared; the second corpus only checks, at the settings of the
first and with one seed, that nothing was fitted to it.
"""

import argparse
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[1]
SEEDS = (0, 1, 2)
STOCK_RATES = ("2e-5", "5e-5", "1e-4", "2e-4")
CHOSEN_STOCK_RATE = "1e-4"  # on WNUT-17's validation rows, seed 0
SEEDED = ("full", "gradual", "lp-ft")  # the three that did best on WNUT-17's validation rows, seed 0
STRATEGIES = (*SEEDED, "discriminative", "lora", "feature-extraction", "scratch")
CHECKED_ROWS = 3394  # of the second corpus: as many as WNUT-17 trains on


def stock(rate: str, seed: int) -> tuple[str, list[str]]:
    flags = ["--learning_rate", rate, "--seed", str(seed)]
    return f"stock-{rate}-{seed}", ["benchmarks.peers", "ner", "--result", "{result}", *flags]


def strategy(name: str, seed: int) -> tuple[str, list[str]]:
    flags = ["--strategy", name, "--seed", str(seed)]
    return f"{name}-{seed}", ["benchmarks.ours", "ner", "--result", "{result}", *flags]


CORPORA = {
    "wnut17": [
        *(stock(rate, 0) for rate in STOCK_RATES),
        *(stock(CHOSEN_STOCK_RATE, seed) for seed in SEEDS[1:]),
        *(strategy(name, 0) for name in STRATEGIES),
        *(strategy(name, seed) for name in SEEDED for seed in SEEDS[1:]),
    ],
    "broad_twitter": [
        (name, [*command, "--max_train_rows", str(CHECKED_ROWS)])
        for name, command in (stock(CHOSEN_STOCK_RATE, 0), strategy("gradual", 0))
    ],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("corpus", choices=CORPORA)
    parser.add_argument("--dataset", required=True, help="folder of its parquet files")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time, one thread each")
    args = parser.parse_args()
    cells = Path("runs/bench") / args.corpus
    cells.mkdir(parents=True, exist_ok=True)

    def run(cell: tuple[str, list[str]]) -> int:
        name, (module, *flags) = cell
        result = cells / f"{name}.json"
        if result.is_file():
            return 0
        command = [sys.executable, "-m", module, *flags, "--dataset", args.dataset]
        with (cells / f"{name}.log").open("w") as log:
            return subprocess.run(
                [part.format(result=result) for part in command],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
            ).returncode

    with ThreadPoolExecutor(args.jobs) as pool:
        codes = list(pool.map(run, CORPORA[args.corpus]))
    failed = [name for (name, _), code in zip(CORPORA[args.corpus], codes, strict=True) if code]
    if failed:
        sys.exit(f"failed: {', '.join(failed)}; see {cells}/*.log")


if __name__ == "__main__":
    main()
