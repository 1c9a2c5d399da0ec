"""Licence, languages and revision come from the cards of checkpoint and data, and stay unknown rather than guessed."""

from pathlib import Path

import huggingface_hub.constants
import pytest
import torch
from datasets import Dataset, DatasetDict
from safetensors.torch import save_file

from hfkit.arguments.parse import parse
from hfkit.arguments.recipe import RecipeArguments
from hfkit.contract.rows import Media, Raw
from hfkit.contract.view import Example, Text
from hfkit.errors import UserError
from hfkit.hub.card import render_card
from hfkit.report.origins import base_origin, dataset_origin, languages_of, license_of, read_front_matter
from hfkit.report.report import MOST_LETTERS, Report, shorten
from hfkit.tasks import NER, TASKS, TextClassification
from hfkit.tasks.classification.kinds import KINDS
from hfkit.tasks.tagging.view import TaggedText
from tests.fixtures.reports import COST, Tags, TextRows, Texts, TextView, classified, made

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


def test_a_checkpoint_in_a_package_has_the_id_and_the_licence_of_the_hub(monkeypatch):
    monkeypatch.setattr("hfkit.samples.find_spec", lambda module: None)  # whether it is installed or not
    origin = base_origin({"checkpoint": "smollm2"})
    assert (origin["id"], origin["license"]) == ("HuggingFaceTB/SmolLM2-135M-Instruct", "apache-2.0")
    assert origin["revision"] is None


def test_a_folder_that_looks_like_an_id_is_no_id(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("runs/encoder").mkdir(parents=True)
    assert base_origin({"checkpoint": "runs/encoder"})["id"] is None
    assert base_origin({"checkpoint": "runs/other"})["id"] == "runs/other"
    assert dataset_origin("runs/encoder", None, {})["id"] is None
    Path("runs/rows.csv").write_text("text,label\n")
    assert dataset_origin("runs/rows.csv", None, {})["id"] is None


def test_an_id_is_known_by_the_copy_in_the_cache(cache):
    cached(cache, "models--owner--encoder", CARD.format(license="apache-2.0"), "config.json")
    cached(cache, "datasets--owner--rows", CARD.format(license="cc-by-4.0"))
    base = base_origin({"checkpoint": "owner/encoder"})
    assert (base["id"], base["revision"], base["license"]) == ("owner/encoder", COMMIT, "apache-2.0")
    rows = dataset_origin("owner/rows", None, {})
    assert (rows["id"], rows["revision"], rows["language"]) == ("owner/rows", COMMIT, ["en", "de"])
    # A branch of converted files has no card of its own: the licence is that of the main one.
    rows = dataset_origin("owner/rows", "refs/convert/parquet", {})
    assert (rows["revision"], rows["license"]) == ("refs/convert/parquet", "cc-by-4.0")


def test_what_is_in_no_cache_is_not_known(cache):
    base = base_origin({"checkpoint": "owner/encoder"})
    assert {base[key] for key in ("revision", "license", "parameters")} == {None} and base["language"] == []
    assert dataset_origin("owner/rows", "v1", {"license": "mit"}) == {
        **{"name": "owner/rows", "id": "owner/rows", "revision": "v1", "license": None, "language": []}
    }


@pytest.mark.parametrize(
    "card", ["", "no metadata", "---\n[\n---\n", "---\n- a\n---\n", "---\nlicense: !!python/name:os.x\n---\n", "\0"]
)
def test_a_broken_card_says_nothing(card, tmp_path):
    (tmp_path / "README.md").write_text(card)
    assert read_front_matter(tmp_path / "README.md") == {}
    assert read_front_matter(tmp_path) == read_front_matter(tmp_path / "none") == read_front_matter(None) == {}


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
    assert license_of("Apache-2.0") == license_of(["apache-2.0"]) == "apache-2.0"
    assert license_of(["mit", "gpl"]) is license_of(None) is license_of("") is license_of(3) is None


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.key)
def test_the_bundled_data_has_a_licence(task):
    origin = dataset_origin("sample", None, task.sample.origin())
    assert origin["license"] in ("apache-2.0", "cc-by-4.0")
    assert origin["language"] == ([] if task().rows.media is Media.IMAGE else ["en"])


def test_the_card_has_the_licence_of_the_base_unless_a_flag_names_one(tmp_path):
    (tmp_path / "encoder").mkdir()
    (tmp_path / "encoder" / "config.json").write_text("{}")
    (tmp_path / "encoder" / "README.md").write_text(CARD.format(license="cc-by-nc-4.0"))
    settings = {"checkpoint": str(tmp_path / "encoder"), "output_dir": "runs/x"}
    assert "\nlicense: cc-by-nc-4.0\n" in render_card(made(Tags(), settings=settings).facts())
    text = render_card(made(Tags(), settings=settings | {"license": "mit", "language": ["fr"]}).facts())
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
    examples = {kind: example.to_json() for kind, example in task.view.examples(rows, 40).items()}
    assert list(examples) == ["LOC", "PER"]
    for kind, example in examples.items():
        words = " ".join(part for part in (example["before"], example["text"], example["after"]) if part)
        row = next(row for row in rows if " ".join(row["tokens"]) == words)
        assert row["tags"][len(example["before"].split())] == f"B-{kind}"
    assert list(task.view.examples(rows, 1)) == ["LOC"]


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
    examples = TextClassification(problem=problem).view.examples(rows, 40)
    assert {label: example.shown.text for label, example in examples.items()} == expected


def test_a_long_example_is_cut_and_many_are_left_out():
    class LongView(TaggedText):
        def examples(self, rows, limit):
            text = "word " * 500
            return {f"{i}": Example(Text(text), text, text) for i in range(limit)}

    class Long(Tags):
        view = LongView()

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

    class LeakyRows(TextRows):
        def read(self, source, only):
            return Raw(DatasetDict(splits), {"text": "text", "label": "label"})

    class LeakyView(TextView):
        def examples(self, rows, limit):
            return {"class 0": Example(Text(rows[0]["text"]), "", token)}

    class Leaky(Texts):
        rows = LeakyRows(4)
        view = LeakyView(KINDS["single-label"], None)

    report = classified(Leaky()).facts()
    assert token not in str(report["examples"]) and token not in report["snippets"]["model"]
    assert "(withheld)" in report["snippets"]["model"]


def test_half_of_a_secret_is_no_example_either():
    """It is withheld before the text around it is cut."""
    token = "hf_" + "a" * 300
    cut = shorten(Example(Text("word " * 30 + token), before=token, after=token)).to_json()
    assert "hf_a" not in str(cut) and "aaaa" not in str(cut)
