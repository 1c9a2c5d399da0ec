"""A folder as a user has it after three runs, for the tests of what comes after training.

runs/bert-ner, runs/bert-sentiment, runs/vit-images    finished runs: model, report, card
entities/, reviews/                                    the data of the first two, as parquet
reviews.csv, sentences.jsonl, pictures/                rows without answers, to predict
"""

import json
import runpy
from pathlib import Path

import pytest
from filelock import FileLock
from PIL import Image

from hfkit.samples.digits import sample_digits
from tests import tiny

RECIPES = Path(__file__).parents[1] / "recipes"
SHORT = ("--num_train_epochs", "1", "--per_device_train_batch_size", "16", "--use_cpu", "--disable_tqdm", "true")


def run_recipe(name: str, *argv: str) -> None:
    """A recipe in this process, which has paid for its imports already."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", [str(RECIPES / f"{name}.py"), *SHORT, *argv])
        runpy.run_path(str(RECIPES / f"{name}.py"), run_name="__main__")


def finished(place: Path, checkpoint: str) -> Path:
    """Make that folder at `place`; a process that comes second finds it made."""
    with FileLock(f"{place}.lock"):
        if not (place / "ended").exists():
            place.mkdir()
            make(place, checkpoint)
            (place / "ended").touch()
    return place


def make(place: Path, checkpoint: str) -> None:
    (place / "entities").mkdir()
    entities = tiny.ner_folder(place / "entities", train=48, validation=16, test=24)
    reviews = tiny.folder_of(tiny.review_splits(train=48, validation=16, test=24), place / "reviews")
    runs = place / "runs"
    run_recipe("bert_ner", "--checkpoint", checkpoint, "--dataset", entities, "--output_dir", str(runs / "bert-ner"))
    told = ("--dataset", reviews, "--output_dir", str(runs / "bert-sentiment"), "--baseline", "majority", "tf-idf")
    run_recipe("bert_sentiment", "--checkpoint", checkpoint, *told)
    told = ("--max_train_rows", "64", "--output_dir", str(runs / "vit-images"), "--baseline", "majority")
    run_recipe("vit_images", *told)
    tiny.review_splits()["test"].remove_columns("label").to_csv(str(place / "reviews.csv"))
    lines = [json.dumps({"tokens": row["tokens"]}) for row in tiny.ner_rows(12, 7)]
    (place / "sentences.jsonl").write_text("\n".join(lines) + "\n")
    (place / "pictures").mkdir()
    for i, row in enumerate(sample_digits()["test"].select(range(6))):
        row["image"].save(place / "pictures" / f"{i}.png")
    Image.new("RGB", (20, 20)).save(place / "picture.png")
