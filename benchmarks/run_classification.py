r"""Runs every cell of the classification benchmark that has no result yet; collect_classification.py gathers them.

    python benchmarks/classification_data.py path/to/datasets runs/bench/data
    python benchmarks/run_classification.py --data path/to/datasets --weights path/to/checkpoints --jobs 2

A cell is one run on one thread with one seed; a killed benchmark continues where it was. `--only` takes part of the
cells, by the beginning of their names.
"""

import argparse
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).parent
CELLS = Path("runs/bench/classification")
DRAWN = Path("runs/bench/data")
BASELINES = ("majority", "classical", "frozen")
STRATEGIES = ("gradual", "full", "scratch")
# The rates of `full`, `gradual` and `scratch` are their defaults for encoders. A convolutional network of 2017 wants
# higher ones: chosen for both on grocery_store's validation rows (cells `grid`), and kept for all pictures.
LENGTHS = ("--train_sampling_strategy", "group_by_length")
V1, V2 = "mobilenet-v1-0.25-224", "mobilenet-v2-1.0-224"
CONV = {"gradual": "1e-3", "full": "1e-3", "scratch": "1e-3"}
UCI = ("amazon", "imdb", "yelp")
DIGITS = ("mnist", "optdigits")
GAIN_LABELS = (10, 100, 0)  # training rows of the digits; 0: all
GAIN_SEEDS = (0, 1, 2)

Cell = tuple[str, list[str]]


def contenders(name: str, flags: list[str], rates: dict[str, str] | None = None, seed: int = 0) -> list[Cell]:
    """Every baseline and strategy on one dataset."""
    cells = [(f"{name}-{baseline}", [*flags, "--rival", baseline]) for baseline in BASELINES]
    for strategy in STRATEGIES:
        rate = ["--learning_rate", rates[strategy]] if rates else []
        cells.append((f"{name}-{strategy}", [*flags, "--strategy", strategy, "--seed", str(seed), *rate]))
    return cells


def text_cells(data: Path) -> list[Cell]:
    def text(name: str, folder: Path, epochs: int, *flags: str) -> list[Cell]:
        return contenders(name, ["text", "--dataset", str(folder), "--num_train_epochs", str(epochs), *LENGTHS, *flags])

    emotions = ("--problem", "multi-label", "--label_column", "labels")
    cells = []
    for domain in UCI:
        others = [str(data / "uci_sentiment_sentences" / other) for other in UCI if other != domain]
        folder = data / "uci_sentiment_sentences" / domain
        cells += text(f"uci_{domain}", folder, 4, "--other_tests", *others)
    cells += text("banking77_10", DRAWN / "banking77_10", 20)
    cells += text("med_nli", data / "med_nli", 4)
    cells += text("goemotions", DRAWN / "goemotions_10k", 3, *emotions)
    cells += text("banking77", DRAWN / "banking77", 4)
    cells += text("clinc150", data / "clinc150", 3, "--out_of_scope", "oos")
    return cells


def image_cells(data: Path, weights: Path) -> list[Cell]:
    def image(name: str, folder: Path, checkpoint: str, epochs: int, *flags: str) -> list[Cell]:
        common = ["image", "--dataset", str(folder), "--checkpoint", str(weights / checkpoint)]
        return contenders(name, [*common, "--num_train_epochs", str(epochs), *flags], CONV)

    photos = ("--augmentation", "light", "--flip", "horizontal")
    cells = image("grocery_v1", data / "grocery_store", V1, 20, *photos)
    cells += image("bccd_v1", data / "bccd_cells", V1, 6, *photos)
    cells += image("grocery_v2", data / "grocery_store", V2, 12, *photos)
    for domain in DIGITS:
        other = str(data / "digits_shift" / next(name for name in DIGITS if name != domain))
        folder = data / "digits_shift" / domain
        cells += image(f"digits_{domain}", folder, V1, 3, "--augmentation", "light", "--other_tests", other)
    cells += image("bccd_v2", data / "bccd_cells", V2, 4, *photos)
    cells += image("omniglot", data / "omniglot_small" / "small1", V1, 8, "--augmentation", "light")
    return cells


def grid_cells(data: Path, weights: Path) -> list[Cell]:
    common = ["image", "--dataset", str(data / "grocery_store"), "--checkpoint", str(weights / V1)]
    common += ["--num_train_epochs", "20", "--augmentation", "light", "--flip", "horizontal"]
    return [
        (f"grid_{strategy}_{rate}", [*common, "--strategy", strategy, "--learning_rate", rate])
        for strategy in STRATEGIES
        for rate in ("3e-4", "1e-3", "3e-3")
    ]


def gain_cells() -> list[Cell]:
    """What the bundled backbones are worth on the digits, at few and at all labels."""
    return [
        (
            f"gain_{architecture}_{rows or 'all'}_{strategy}_{seed}",
            ["image", "--checkpoint", f"sample-{architecture}", "--strategy", strategy, "--seed", str(seed)]
            + ["--max_train_rows", str(rows)] * bool(rows)
            + ["--max_steps", "300", "--eval_strategy", "steps", "--eval_steps", "100"]
            + ["--save_strategy", "steps", "--save_steps", "100", "--learning_rate", "1e-3"],
        )
        for architecture in ("resnet", "vit")
        for rows in GAIN_LABELS
        for strategy in ("gradual", "full", "scratch")
        for seed in GAIN_SEEDS
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--data", type=Path, required=True, help="folder of the datasets' folders")
    parser.add_argument("--weights", type=Path, required=True, help="folder of the checkpoints' folders")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time, one thread each")
    parser.add_argument("--only", nargs="*", default=[""], help="cells whose names begin so")
    args = parser.parse_args()
    cells = [
        *grid_cells(args.data, args.weights),
        *text_cells(args.data),
        *image_cells(args.data, args.weights),
        *gain_cells(),
    ]
    chosen = [cell for cell in cells if cell[0].startswith(tuple(args.only))]
    CELLS.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(args.jobs) as pool:
        codes = list(pool.map(run, chosen))
    failed = [name for (name, _), code in zip(chosen, codes, strict=True) if code]
    if failed:
        sys.exit(f"failed: {', '.join(failed)}; see {CELLS}/*.log")


def run(cell: Cell) -> int:
    name, flags = cell
    result = CELLS / f"{name}.json"
    if result.is_file():
        return 0
    command = [sys.executable, str(HERE / "classification_cell.py"), *flags, "--result", str(result)]
    with (CELLS / f"{name}.log").open("w") as log:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        return subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, env=environment).returncode


if __name__ == "__main__":
    main()
