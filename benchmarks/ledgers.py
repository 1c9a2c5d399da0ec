"""The measured ledgers: `hfkit compare` on seven real datasets, resumable, and their pages beside the other results.

    python -m benchmarks.ledgers --data path/to/data --weights path/to/weights [NAME ...]

Each is one call of `hfkit compare`; what it is called with is below. Cells lie in runs/ledgers/NAME, pages in
benchmarks/results/ledgers/NAME.html and so on.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

RESULTS = Path(__file__).parent / "results" / "ledgers"
FOLDER = Path("runs", "ledgers")
STRATEGIES = ("scratch", "feature-extraction", "lp-ft", "gradual", "full", "lora", "auto")
TEXT = ("--num_train_epochs", "3", "--tune", "1", "3")
TEXT_BASELINES = ("majority", "tf-idf", "linear-probe", "knn", "nearest-mean", "zero-shot-similarity")
IMAGE_BASELINES = ("majority", "pixels", "hog", "linear-probe", "knn", "nearest-mean")

# Of every ledger: recipe, dataset and flags; {data} and {weights} are filled in.
LEDGERS: dict[str, tuple[str, ...]] = {
    "uci_sentiment_sentences": (
        *("--recipe", "recipes/bert_sentiment.py", "--dataset", "{data}/uci_sentiment_sentences/amazon"),
        *("--other_tests", "{data}/uci_sentiment_sentences/yelp", "{data}/uci_sentiment_sentences/imdb"),
        *("--strategies", *STRATEGIES, *TEXT, "--label_budgets", "16", "128"),
        *("--baseline", *TEXT_BASELINES, "setfit", "zero-shot-prompt", "few-shot-prompt"),
        *("--prompt_checkpoint", "{weights}/stories260k-llama"),
    ),
    "digits_shift": (
        *("--recipe", "recipes/vit_images.py", "--dataset", "{data}/digits_shift/optdigits"),
        *("--other_tests", "{data}/digits_shift/mnist", "--max_train_rows", "1000"),
        *("--strategies", *STRATEGIES, "--tune", "0.3", "1", "--label_budgets", "20", "100", "300"),
        *("--baseline", *IMAGE_BASELINES),
    ),
    "bccd_cells": (
        *("--recipe", "recipes/resnet_images.py", "--dataset", "{data}/bccd_cells"),
        *("--checkpoint", "{weights}/mobilenet-v1-0.25-224", "--num_train_epochs", "4", "--max_train_rows", "600"),
        *("--strategies", *STRATEGIES, "--tune", "0.3", "1", "--baseline", *IMAGE_BASELINES),
    ),
    "grocery_store": (
        *("--recipe", "recipes/resnet_images.py", "--dataset", "{data}/grocery_store", "--label_column", "label"),
        *("--checkpoint", "{weights}/mobilenet-v1-0.25-224", "--num_train_epochs", "8", "--tune", "0.3", "1"),
        *("--strategies", *STRATEGIES, "--baseline", *IMAGE_BASELINES),
    ),
    "wnut17": (
        *("--recipe", "recipes/bert_ner.py", "--dataset", "{data}/wnut17", "--max_train_rows", "800"),
        *("--strategies", *STRATEGIES, *TEXT, "--baseline", "lexicon", "linear-probe"),
    ),
    "med_nli": (
        *("--recipe", "recipes/bert_sentiment.py", "--dataset", "{data}/med_nli", "--max_train_rows", "800"),
        *("--strategies", *STRATEGIES, *TEXT, "--baseline", *TEXT_BASELINES[:-1]),
    ),
    "banking77": (
        *("--recipe", "recipes/bert_sentiment.py", "--dataset", "{data}/banking77", "--validation_share", "0.05"),
        *("--max_train_rows", "770"),
        *("--strategies", *STRATEGIES[:5], "--baseline", *TEXT_BASELINES),
    ),
}


def flags_of(name: str, data: str, weights: str) -> list[str]:
    """The flags of `hfkit compare` for a ledger."""
    flags = [flag.format(data=data, weights=weights) for flag in LEDGERS[name]]
    return [*flags, "--compare_dir", str(FOLDER / name)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(LEDGERS)}; default: all")
    parser.add_argument("--data", default="../shared/data")
    parser.add_argument("--weights", default="../shared/weights")
    parser.add_argument("--jobs", default="4")
    asked = parser.parse_args()
    RESULTS.mkdir(parents=True, exist_ok=True)
    for name in asked.names or LEDGERS:
        command = [sys.executable, "-m", "hfkit.ledger", *flags_of(name, asked.data, asked.weights)]
        subprocess.run([*command, "--jobs", asked.jobs], check=True)
        for page in FOLDER.joinpath(name).glob("ledger*.*"):
            shutil.copyfile(page, RESULTS / page.name.replace("ledger", name, 1))


if __name__ == "__main__":
    main()
