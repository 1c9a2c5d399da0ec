"""Licence, languages and revision come from the cards of checkpoint and data, and stay unknown rather than guessed."""

from pathlib import Path

import huggingface_hub.constants
import pytest
import torch
from datasets import Dataset, DatasetDict
from safetensors.torch import save_file

from hfkit.arguments.parse import parse
from hfkit.arguments.recipe import RecipeArguments
from hfkit.errors import UserError
from hfkit.hub.card import render_card
from hfkit.report.origins import base_origin, dataset_origin, front_matter, languages_of, word_of
from hfkit.report.report import MOST_LETTERS, Report
from hfkit.tasks import NER, ImageClassification, TextClassification
from tests.fixtures.reports import COST, Tags, Texts, classified, made

CARD = "---\nlicense: {license}\nlanguage:\n- en\n- de\n---\n\n# A card\n"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def cached(cache: Path, name: str, card: str | None, *files: str) -> None:
    """A repository of the Hub as the client keeps it."""
    place = cache / name / "snapshots" / COMMIT
    place.mkdir(parents=True)
    (cache / name / "refs").mkdir()
    (cache / name / "refs" / "main").write_text(COMMIT)
    if card is not None:
        (place / "README.md").write_text(card)
    for file in files:
        (place / file).write_text("{}")


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_local_checkpoint_is_known_by_its_card(tmp_path):
    folder = tmp_path / "secret" / "encoder"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "README.md").write_text(CARD.format(license="MIT"))
    buffers = {"bn.running_mean": torch.zeros(7), "bn.num_batches_tracked": torch.zeros(1)}
    save_file({"a": torch.zeros(3, 4), "b": torch.zeros(5), **buffers}, folder / "model.safetensors")
    assert base_origin({"checkpoint": str(folder)}) == {
        "name": "encoder",
        "id": None,
        "revision": None,
        "license": "mit",
        "language": ["en", "de"],
        "parameters": 17,
        "relation": "finetune",
    }
    assert base_origin({"checkpoint": str(folder), "lora_rank": 8})["relation"] == "adapter"
    assert base_origin({"checkpoint": str(folder), "pretrained": False})["relation"] is None
    assert base_origin({}) is None


def test_a_folder_that_looks_like_an_id_is_no_id(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("runs/encoder").mkdir(parents=True)
    assert base_origin({"checkpoint": "runs/encoder"})["id"] is None
    assert base_origin({"checkpoint": "runs/other"})["id"] == "runs/other"
    assert dataset_origin("runs/encoder", None, "token-classification")["id"] is None
    Path("runs/rows.csv").write_text("text,label\n")
    assert dataset_origin("runs/rows.csv", None, "text-classification")["id"] is None


def test_an_id_is_known_by_the_copy_in_the_cache(cache):
    cached(cache, "models--owner--encoder", CARD.format(license="apache-2.0"), "config.json")
    cached(cache, "datasets--owner--rows", CARD.format(license="cc-by-4.0"))
    base = base_origin({"checkpoint": "owner/encoder"})
    assert (base["id"], base["revision"], base["license"]) == ("owner/encoder", COMMIT, "apache-2.0")
    rows = dataset_origin("owner/rows", None, "token-classification")
    assert (rows["id"], rows["revision"], rows["language"]) == ("owner/rows", COMMIT, ["en", "de"])
    # A branch of converted files has no card of its own: the licence is that of the main one.
    rows = dataset_origin("owner/rows", "refs/convert/parquet", "token-classification")
    assert (rows["revision"], rows["license"]) == ("refs/convert/parquet", "cc-by-4.0")


def test_what_is_in_no_cache_is_not_known(cache):
    base = base_origin({"checkpoint": "owner/encoder"})
    assert {base[key] for key in ("revision", "license", "parameters")} == {None} and base["language"] == []
    assert dataset_origin("owner/rows", "v1", "x") == {
        **{"name": "owner/rows", "id": "owner/rows", "revision": "v1", "license": None, "language": []}
    }


@pytest.mark.parametrize(
    "card", ["", "no metadata", "---\n[\n---\n", "---\n- a\n---\n", "---\nlicense: !!python/name:os.x\n---\n", "\0"]
)
def test_a_broken_card_says_nothing(card, tmp_path):
    (tmp_path / "README.md").write_text(card)
    assert front_matter(tmp_path / "README.md") == {}
    assert front_matter(tmp_path) == front_matter(tmp_path / "none") == front_matter(None) == {}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("en", ["en"]),
        (["en", "de"], ["en", "de"]),
        (False, ["no"]),
        (None, []),
        ("English", []),
        ({"a": 1}, []),
        (3, []),
    ],
)
def test_languages_are_codes(value, expected):
    assert languages_of(value) == expected


def test_a_licence_is_one_word():
    assert word_of("Apache-2.0") == word_of(["apache-2.0"]) == "apache-2.0"
    assert word_of(["mit", "gpl"]) is word_of(None) is word_of("") is word_of(3) is None


@pytest.mark.parametrize(("task", "language"), [(NER, ["en"]), (TextClassification, ["en"]), (ImageClassification, [])])
def test_the_bundled_data_has_a_licence(task, language):
    found = dataset_origin("sample", None, task.name)
    assert found["license"] in ("apache-2.0", "cc-by-4.0") and found["language"] == language


def test_the_card_has_the_licence_of_the_base_unless_told(tmp_path):
    (tmp_path / "encoder").mkdir()
    (tmp_path / "encoder" / "config.json").write_text("{}")
    (tmp_path / "encoder" / "README.md").write_text(CARD.format(license="cc-by-nc-4.0"))
    settings = {"checkpoint": str(tmp_path / "encoder"), "output_dir": "runs/x"}
    assert "\nlicense: cc-by-nc-4.0\n" in render_card(made(Tags(), settings=settings).facts())
    told = settings | {"license": "mit", "language": ["fr"]}
    text = render_card(made(Tags(), settings=told).facts())
    assert "\nlicense: mit\nlanguage:\n- fr\n" in text and "licence cc-by-nc-4.0" in text


@pytest.mark.parametrize(
    ("flags", "fragment"),
    [
        (["--license", "Apache 2.0"], "license='Apache 2.0'"),
        (["--language", "English"], "language='English'"),
        (["--benchmark", "squad"], "benchmark='squad'"),
    ],
)
def test_a_word_that_the_hub_does_not_know_is_refused_before_training(flags, fragment):
    with pytest.raises(UserError, match=fragment):
        parse((RecipeArguments,), argv=flags)


def test_words_that_it_knows_are_taken():
    flags = ["--license", "mit", "--language", "en", "de", "--benchmark", "cais/hle:default"]
    (recipe,) = parse((RecipeArguments,), argv=flags)
    assert (recipe.license, recipe.language, recipe.benchmark) == ("mit", ["en", "de"], "cais/hle:default")


# An example of each label


def test_an_entity_stands_in_its_sentence(corpus):
    task = NER(dataset=corpus)
    rows = task.load()["train"]
    examples = task.examples(rows, 40)
    assert list(examples) == ["LOC", "PER"]
    for kind, example in examples.items():
        words = " ".join(part for part in (example["before"], example["text"], example["after"]) if part)
        row = next(row for row in rows if " ".join(row["tokens"]) == words)
        assert row["tags"][len(example["before"].split())] == f"B-{kind}"
    assert list(task.examples(rows, 1)) == ["LOC"]


@pytest.mark.parametrize(
    ("problem", "labels", "expected"),
    [
        ("single-label", ["b", "a", "b"], {"a": "text 1", "b": "text 0"}),
        ("multi-label", [["a", "b"], ["b"], []], {"a": "text 0", "b": "text 1"}),
        ("regression", [0.5, 1.5, 2.5], {}),
    ],
)
def test_a_class_has_a_row_that_shows_it(problem, labels, expected):
    rows = Dataset.from_dict({"text": [f"text {i}" for i in range(3)], "label": labels})
    found = TextClassification(problem=problem).examples(rows, 40)
    assert {label: example["text"] for label, example in found.items()} == expected


def test_a_long_example_is_cut_and_many_are_left_out():
    class Long(Tags):
        def examples(self, rows, limit):
            text = "word " * 500
            return {f"{i}": {"before": text, "text": text, "after": text, "picture": ""} for i in range(limit)}

    report = Report(Long(), Tags().load(), settings={"checkpoint": "sample"})
    report.add("one", report.references, cost=COST)
    examples = report.facts()["examples"]
    assert len(examples) == 40
    assert all(len(part) <= MOST_LETTERS + 2 for example in examples.values() for part in example.values())
    assert examples["0"]["before"].startswith("… word") and examples["0"]["after"].endswith("word …")
    assert len(render_card(report.facts())) < 40_000


def test_an_example_is_no_place_for_a_secret():
    token = "hf_" + "a" * 30
    splits = {
        split: Dataset.from_list([{"text": f"mail {token}", "label": f"class {i}"} for i in range(4)])
        for split in ("train", "validation", "test")
    }

    class Leaky(Texts):
        def load(self):
            return DatasetDict(splits)

        def examples(self, rows, limit):
            return {"class 0": {"before": "", "text": rows[0]["text"], "after": token, "picture": ""}}

    assert token not in str(classified(Leaky()).facts()["examples"])
