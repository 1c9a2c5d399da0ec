r"""The tasks beyond classification and entities on real data: each recipe as a user would start it.

    python -m benchmarks.real --data path/to/datasets --weights path/to/checkpoints [NAME ...] [--seeds 0 1 2]

Every run is a command of the recipe on rows that are drawn once, with a fixed seed, where a dataset is larger than a
few minutes on one core allow. Runs lie in runs/real, and those that are there are not made again; what their reports
say goes to benchmarks/results/real_NAME.json.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset, DatasetDict, load_dataset

from benchmarks.suite.sets import draw

FOLDER = Path("runs", "real")
ROWS = ("train", "validation", "test")
RESULTS = Path("benchmarks", "results")
LITTLE = (
    "--per_device_train_batch_size",
    "2",
    "--gradient_accumulation_steps",
    "4",
    "--per_device_eval_batch_size",
    "2",
)
SCHEMA = "hfkit.benchmark.real/1"
MINILM, SMOLLM2 = "all-MiniLM-L6-v2, pretrained", "SmolLM2-135M-Instruct, pretrained"
TOY_T5 = "a tiny T5 trained on made-up sentences: as good as random weights here"


@dataclass(frozen=True)
class Work:
    """A recipe on a dataset.

    Args:
        source: folder of the dataset, and of a part of it.
        starts_from: what the checkpoint is, in words.
        rows: at most so many of train, validation and test.
        flags: of the recipe; {weights} stands for the folder of checkpoints.
        keep: which rows there are, before any are drawn.
        rename: of columns, to names that the recipe knows.
    """

    recipe: str
    source: str
    starts_from: str
    rows: tuple[int, int, int] = (10**9,) * 3
    flags: tuple[str, ...] = ()
    keep: Callable[[dict[str, Any]], bool] | None = None
    rename: tuple[tuple[str, str], ...] = ()


def read_elementary(row: dict[str, Any]) -> bool:
    """Whether a question is about the easiest of three versions of an article."""
    return row["level"] == 0


WORKS: dict[str, Work] = {
    "pneumoniamnist": Work(
        "medical_images",
        "pneumoniamnist",
        "MobileNetV1 0.25, pretrained on ImageNet",
        flags=("--checkpoint", "{weights}/mobilenet-v1-0.25-224", "--num_train_epochs", "3"),
    ),
    "nuclei": Work(
        "segformer_segmentation",
        "nuclei_dsb2018",
        "DeepLabV3 on MobileNetV2 0.5, pretrained on Pascal VOC",
        flags=("--checkpoint", "{weights}/deeplabv3-mobilenet-v2-0.5-voc", "--num_train_epochs", "10"),
    ),
    "bccd": Work(
        "detr_detection",
        "bccd",
        "the bundled detector of generated shapes: as good as random weights here",
        flags=("--num_train_epochs", "30"),
    ),
    "xquad_en": Work("bert_qa", "xquad/en", MINILM, flags=("--num_train_epochs", "5")),
    "covid_qa": Work("bert_qa", "covid_qa", MINILM, rows=(60, 12, 60), flags=("--num_train_epochs", "2")),
    "onestop_qa": Work(
        "bert_multiple_choice", "onestop_qa", MINILM, flags=("--num_train_epochs", "3"), keep=read_elementary
    ),
    "scitldr_a": Work("t5_summarization", "scitldr_a", TOY_T5, rows=(1992, 60, 300), flags=("--num_train_epochs", "3")),
    "tatoeba_en_de": Work(
        "t5_translation",
        "tatoeba_en_de",
        TOY_T5,
        rows=(6000, 100, 500),
        flags=("--source_language", "en", "--target_language", "de", "--num_train_epochs", "3"),
    ),
    "tiny_shakespeare": Work(
        "gpt2_language_model",
        "tiny_shakespeare",
        SMOLLM2,
        rows=(800, 60, 200),
        flags=("--checkpoint", "smollm2", "--strategy", "lora", "--num_train_epochs", "1", *LITTLE),
    ),
    "gsm8k": Work(
        "chat_assistant",
        "gsm8k",
        SMOLLM2,
        rows=(300, 30, 150),
        flags=("--checkpoint", "smollm2", "--learning_rate", "5e-4", "--num_train_epochs", "1", *LITTLE),
        rename=(("question", "prompt"), ("answer", "completion")),
    ),
    "self_instruct_human": Work(
        "chat_assistant",
        "self_instruct_human",
        SMOLLM2,
        rows=(155, 20, 252),
        flags=("--checkpoint", "smollm2", "--learning_rate", "5e-4", "--num_train_epochs", "2", *LITTLE),
    ),
}


def prepare(name: str, work: Work, data: Path) -> Path:
    """The folder with the rows of a run, written where it is not there yet."""
    folder = FOLDER / "data" / name
    if (folder / "test.parquet").is_file():
        return folder
    files = {path.stem: str(path) for path in sorted((data / work.source).glob("*.parquet"))}
    splits = load_dataset("parquet", data_files={split: files[split] for split in ROWS if split in files})
    if work.keep:
        splits = splits.filter(work.keep)
    if "validation" not in splits:
        parted = splits["train"].train_test_split(work.rows[1], seed=0)
        splits = DatasetDict(train=parted["train"], validation=parted["test"], test=splits["test"])
    folder.mkdir(parents=True, exist_ok=True)
    for split, most in zip(ROWS, work.rows, strict=True):
        rows: Dataset = draw(splits[split], most)
        rows.rename_columns(dict(work.rename)).to_parquet(folder / f"{split}.parquet")
    return folder


def run(name: str, work: Work, seed: int, data: Path, weights: Path) -> dict[str, Any]:
    """The report of one run, made where it is not there yet."""
    output = FOLDER / "runs" / f"{name}-{seed}"
    report = output / "report.json"
    if not report.is_file():
        flags = [flag.format(weights=weights) for flag in work.flags]
        command = [sys.executable, f"recipes/{work.recipe}.py", "--dataset", str(prepare(name, work, data)), *flags]
        command += ["--seed", str(seed), "--output_dir", str(output), "--overwrite_output_dir", "true"]
        environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
        with open(f"{output}.log", "w", encoding="utf-8") as log:
            subprocess.run([*command, "--disable_tqdm", "true"], check=True, stdout=log, stderr=log, env=environment)
    return json.loads(report.read_text(encoding="utf-8"))


def collect(name: str, work: Work, reports: dict[int, dict[str, Any]]) -> dict[str, Any]:
    """What the reports of a recipe's runs say, by seed."""
    first = next(iter(reports.values()))
    return {
        "schema": SCHEMA,
        "name": name,
        "recipe": work.recipe,
        "starts_from": work.starts_from,
        "flags": [flag.format(weights="checkpoints") for flag in work.flags],
        "rows": {split: first["data"][split]["rows"] for split in ROWS},
        "headline": next(score for score in first["task"]["scores"] if score["key"] == first["task"]["headline"]),
        "runs": [
            {"seed": seed, "verdict": report["verdict"], "contenders": report["contenders"]}
            for seed, report in reports.items()
        ],
        "environment": first["environment"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0], allow_abbrev=False)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(WORKS)}; default: all")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--weights", type=Path, default=Path("../shared/weights"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    asked = parser.parse_args()
    (FOLDER / "runs").mkdir(parents=True, exist_ok=True)
    for name in asked.names or WORKS:
        work = WORKS[name]
        reports = {seed: run(name, work, seed, asked.data, asked.weights) for seed in asked.seeds}
        path = RESULTS / f"real_{name}.json"
        path.write_text(json.dumps(collect(name, work, reports), indent=1) + "\n", encoding="utf-8")
        print(f"{path}: {reports[asked.seeds[0]]['verdict']}", flush=True)


if __name__ == "__main__":
    main()
