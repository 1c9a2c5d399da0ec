r"""The speed benchmark: runs what has no result yet, beside the stock trainer, and renders README's tables.

    python -m benchmarks --data path/to/datasets --weights path/to/checkpoints
    python -m benchmarks --data path/to/datasets --weights path/to/checkpoints --only speed --corpora wnut17 --rounds 1

Parts, in this order: `grid` tunes both sides on validation, `speed` takes times in rounds, `quality` compares scores
over seeds, `scaling` grows the rows. Each run writes a cell under runs/bench/speed and is skipped when that is there: a
killed benchmark continues where it was. `--only collect` writes benchmarks/results from the cells that there are.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.quality import WORKS as SEED_WORKS
from benchmarks.quality import chosen, grid_cells, grid_rows, quality_rows, seed_cells
from benchmarks.scaling import scaling_cells, scaling_rows
from benchmarks.speed import CELLS, WORKS, Corpus, round_cells, run_cells, speed_rows
from hfkit.runtime.machine import environment

HERE = Path(__file__).parent
DRAWN = Path("runs/bench/data")  # what classification_data.py draws: banking77 with a validation split
PARTS = ("grid", "speed", "quality", "scaling", "collect")
COMMAND = "python -m benchmarks --data path/to/datasets --weights path/to/checkpoints"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--weights", type=Path, default=Path("../shared/weights"))
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--corpora", nargs="+", choices=("wnut17", "banking77", "bccd_cells"), default=None)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, os.cpu_count() or 1], help="of the speed rounds")
    parser.add_argument("--jobs", type=int, default=3, help="runs at a time where only scores matter, or ratios of CPU")
    args = parser.parse_args()
    everything = corpora(args.data, args.weights)
    asked = [corpus for corpus in everything if corpus.name in (args.corpora or corpus.name)]
    if not (DRAWN / "banking77").is_dir():
        subprocess.run([sys.executable, HERE / "classification_data.py", args.data, DRAWN], check=True)
    failed = []
    if "grid" in args.only:
        failed += run_cells([cell for corpus in asked for cell in grid_cells(corpus)], jobs=args.jobs)
    if "speed" in args.only:
        for number in range(args.rounds):
            for threads in dict.fromkeys(args.threads):
                for corpus in asked:
                    failed += run_cells(round_cells(corpus, chosen(corpus), number, threads), threads=threads)
                    for cache in CELLS.glob(f"{corpus.name}/threads-*/round-*/cache-*"):
                        shutil.rmtree(cache)
    if "quality" in args.only:
        for seed in range(args.seeds):
            for corpus in asked:
                if corpus.kind != "image":
                    failed += run_cells(seed_cells(corpus, chosen(corpus), seed), jobs=args.jobs)
    if "scaling" in args.only:
        failed += run_cells(scaling_cells())
    if "collect" in args.only:
        collect(everything, sorted(set(args.threads)))
        subprocess.run([sys.executable, HERE / "render.py"], check=True)
    if failed:
        sys.exit(f"failed: {', '.join(map(str, failed))}; see the .log beside each")


def corpora(data: Path, weights: Path) -> list[Corpus]:
    rates = ("5e-5", "1e-4", "2e-4", "4e-4")
    mobilenet = weights / "mobilenet-v1-0.25-224"
    return [
        Corpus("wnut17", "ner", data / "wnut17", 8, 3, ("2e-5", "5e-5", "1e-4", "2e-4")),
        Corpus("banking77", "text", DRAWN / "banking77", 16, 3, rates),
        Corpus("bccd_cells", "image", data / "bccd_cells", 16, 6, ("3e-4", "1e-3", "3e-3"), mobilenet),
    ]


def collect(everything: list[Corpus], threads: list[int]) -> None:
    """Write the result files from the cells that there are; rows that were not measured anew stay, marked `earlier`."""
    facts = {"command": COMMAND, "environment": environment()}
    before = json.loads((HERE / "results" / "speed.json").read_text(encoding="utf-8"))
    rows = [row for corpus in everything for row in (*speed_rows(corpus, threads), *quality_rows(corpus))]
    measured, works = {key_of(row) for row in rows}, {work.title for work in (*WORKS, *SEED_WORKS)}
    rows += [row | {"earlier": True} for row in before["rows"] if key_of(row) not in measured and row["work"] in works]
    write("speed", {"schema": "hfkit.speed/1", **facts, "rows": rows, "grid": grid_rows(everything) or before["grid"]})
    if sizes := scaling_rows():
        write("scaling", {"schema": "hfkit.scaling/1", **facts, "sizes": sizes})


def key_of(row: dict) -> tuple:
    return row["work"], row["dataset"], row["threads"], row["peer"]["contender"]


def write(name: str, result: dict) -> None:
    path = HERE / "results" / f"{name}.json"
    path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
