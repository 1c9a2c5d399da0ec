"""Writes the subsets that the classification benchmark trains on, drawn with a fixed seed.

    python benchmarks/classification_data.py path/to/datasets runs/bench/data

banking77 has no validation split: a tenth of train is set aside, and for the small budget 10 rows of every class are
trained on and 5 others validate. Of goemotions 10,000 training rows are drawn.
"""

import argparse
from pathlib import Path

import numpy as np
from datasets import Dataset, DatasetDict, load_dataset

SEED = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("source", type=Path, help="folder with banking77/ and goemotions/")
    parser.add_argument("output", type=Path)
    args = parser.parse_args()
    banking, emotions = (splits(args.source / name) for name in ("banking77", "goemotions"))
    order = np.random.default_rng(SEED).permutation(len(banking["train"]))
    tenth = len(order) // 10
    write(args.output / "banking77", banking, order[tenth:], order[:tenth])
    few = per_class(banking["train"], order, 10)
    rest = [row for row in order if row not in set(few)]
    write(args.output / "banking77_10", banking, few, per_class(banking["train"], rest, 5))
    drawn = np.random.default_rng(SEED).permutation(len(emotions["train"]))[:10_000]
    write(args.output / "goemotions_10k", emotions, drawn, None)


def splits(folder: Path) -> DatasetDict:
    files = {path.stem: str(path) for path in sorted(folder.glob("*.parquet"))}
    return load_dataset("parquet", data_files=files)


def per_class(rows: Dataset, order, count: int) -> list[int]:
    """The first `count` rows of every class in the given order."""
    labels, taken = np.array(rows["label"]), {}
    for row in order:
        taken.setdefault(labels[row], []).append(int(row))
    return [row for of_class in taken.values() for row in of_class[:count]]


def write(folder: Path, source: DatasetDict, train, validation) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    held_out = source["validation"] if validation is None else source["train"].select(sorted(validation))
    made = {"train": source["train"].select(sorted(train)), "validation": held_out, "test": source["test"]}
    for split, rows in made.items():
        rows.to_parquet(folder / f"{split}.parquet")


if __name__ == "__main__":
    main()
