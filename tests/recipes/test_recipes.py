"""Recipes run as README says, end in a report and a plain model, and read as five paragraphs."""

import json
import os
import re
import resource
import runpy
import shlex
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml
from safetensors import safe_open
from transformers import pipeline

import hfkit
from hfkit.report.schema import validate

ROOT = Path(__file__).parents[2]
COMPARE = ROOT / "recipes" / "compare_strategies.py"  # it trains through the others
RECIPES = sorted({*(ROOT / "recipes").glob("*.py")} - {COMPARE})
CONFIGS = sorted((ROOT / "recipes" / "configs").glob("*.yaml"))
PARAGRAPHS = ["Arguments", "Data", "Model", "Training", "Report"]
CONTENDERS = ["fine-tuned ({strategy})", "the same, decision not tuned", "lexicon", "linear probe"]


def launch(recipe: Path, *argv: str, cwd: Path) -> subprocess.CompletedProcess:
    """`accelerate launch` of a recipe, as a user of this environment does it."""
    command = [sys.executable, "-m", "accelerate.commands.launch", str(recipe), *argv]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env={**os.environ, "PYTHONPATH": str(ROOT)})


def run_here(recipe: Path, *argv: str) -> None:
    """The same in this process, which has paid for its imports already."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", [str(recipe), *argv])
        runpy.run_path(str(recipe), run_name="__main__")


def report_of(place: Path) -> dict:
    return json.loads((place / "report.json").read_text(encoding="utf-8"))


def weights_of(place: Path) -> bytes:
    return (place / "model.safetensors").read_bytes()


BERT_NER = ROOT / "recipes" / "bert_ner.py"


@pytest.fixture(scope="module")
def launched(checkpoint, corpus, tmp_path_factory) -> tuple[subprocess.CompletedProcess, Path]:
    """One epoch of the recipe on the tiny corpus."""
    place = tmp_path_factory.mktemp("launched-from-a-folder-with-a-name-longer-than-a-terminal-is-wide") / "run"
    argv = ["--checkpoint", checkpoint, "--dataset", corpus, "--num_train_epochs", "1", "--fit_head", "no"]
    argv += ["--per_device_train_batch_size", "4", "--output_dir", str(place)]  # steps enough for two stages
    return launch(BERT_NER, *argv, cwd=ROOT), place


@pytest.mark.slow
def test_a_launched_recipe_ends_with_the_path_of_its_report(launched):
    ended, place = launched
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == f"Report: {place / 'report.html'}"
    assert ended.stdout.index("Plan: gradual") < ended.stdout.index("fine-tuned (gradual)")


@pytest.mark.slow
def test_its_report_is_whole(launched):
    report = report_of(launched[1])
    validate(report)
    assert [contender["name"] for contender in report["contenders"]] == [
        name.format(strategy="gradual") for name in CONTENDERS
    ]
    assert [contender["baseline"] for contender in report["contenders"]] == [False, False, True, True]
    assert report["rows"] == 8
    assert report["settings"]["num_train_epochs"] == 1
    assert len(report["training"]["plan"]) > 1
    assert shlex.split(report["command"]) == ["recipes/bert_ner.py", *launched[0].args[4:]]


@pytest.mark.slow
def test_its_page_needs_no_other_file(launched):
    html = (launched[1] / "report.html").read_text(encoding="utf-8")
    assert "linear probe" in html
    assert "default-src 'none'" in html
    assert not re.search(r"<(script|link|iframe|img|object)|@import|(?<![-\w])src=|href=\"(?!#)", html)


@pytest.mark.slow
def test_its_model_is_a_plain_one(launched):
    tagger = pipeline("token-classification", model=str(launched[1]), aggregation_strategy="simple", device="cpu")
    assert [tagger.model.config.id2label[i] for i in range(5)] == ["O", "B-LOC", "I-LOC", "B-PER", "I-PER"]
    found = tagger("anna met boris in paris .")
    assert {entity["entity_group"] for entity in found} <= {"LOC", "PER"}
    best = pipeline("token-classification", model=tagger.model, tokenizer=tagger.tokenizer, ignore_labels=[])
    assert [token["word"] for token in best("anna met boris")] == ["anna", "met", "boris"]


@pytest.mark.parametrize("strategy", ["lora", "feature-extraction"])
def test_other_strategies_end_in_a_plain_model_too(strategy, checkpoint, corpus, tmp_path):
    argv = [
        "--checkpoint",
        checkpoint,
        "--dataset",
        corpus,
        "--strategy",
        strategy,
        "--max_steps",
        "3",
        "--fit_head",
        "no",
    ]
    run_here(BERT_NER, *argv, "--output_dir", str(tmp_path))
    report = report_of(tmp_path)
    validate(report)
    assert [contender["name"] for contender in report["contenders"]] == [
        name.format(strategy=strategy) for name in CONTENDERS
    ]
    with (
        safe_open(tmp_path / "model.safetensors", "pt") as saved,
        safe_open(f"{checkpoint}/model.safetensors", "pt") as start,
    ):
        assert {name for name in saved.keys() if not name.startswith("classifier")} == {
            f"bert.{name}" for name in start.keys()
        }
    assert (tmp_path / "adapter").is_dir() == (strategy == "lora")


def test_a_recipe_that_was_cut_resumes_to_the_same_model_and_report(checkpoint, corpus, tmp_path, capsys):
    argv = ["--checkpoint", checkpoint, "--dataset", corpus, "--output_dir", str(tmp_path), "--max_steps", "6"]
    argv += ["--save_strategy", "steps", "--save_steps", "2", "--save_total_limit", "3"]
    argv += ["--eval_strategy", "no", "--load_best_model_at_end", "false"]
    run_here(BERT_NER, *argv)
    whole, report = weights_of(tmp_path), report_of(tmp_path)
    for written_after_the_cut in ("model.safetensors", "report.json", "report.html"):
        (tmp_path / written_after_the_cut).unlink()
    run_here(BERT_NER, *argv, "--resume_from_checkpoint", str(tmp_path / "checkpoint-4"))
    assert weights_of(tmp_path) == whole
    assert capsys.readouterr().out.splitlines()[-1] == f"Report: {tmp_path / 'report.html'}"
    resumed = report_of(tmp_path)
    validate(resumed)
    assert [c["scores"] for c in resumed["contenders"]] == [c["scores"] for c in report["contenders"]]


class Parsed(Exception):
    """Thrown once a recipe has parsed its arguments, with what it got."""


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_every_config_is_read_by_its_recipe(config, monkeypatch):
    recipes = [recipe for recipe in RECIPES if config.stem.startswith(f"{recipe.stem}_")]
    assert len(recipes) == 1

    def parse(types, **literals):
        raise Parsed(*hfkit.arguments.parse.parse(types, **literals))

    monkeypatch.setattr(hfkit, "parse", parse)
    with pytest.raises(Parsed) as parsed:
        run_here(recipes[0], "--config", str(config))
    recipe, task, args = parsed.value.args
    values = {**asdict(recipe), **asdict(task), **args.to_dict()}
    for name, value in yaml.safe_load(config.read_text()).items():
        # YAML takes 5e-5 for a string.
        assert values[name] == (type(values[name])(value) if isinstance(value, str) else value), name
    assert task.dataset != "sample" and recipe.checkpoint != "sample"


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_reads_as_five_paragraphs(recipe):
    body = recipe.read_text(encoding="utf-8").split("\ndef arguments(")[1]
    assert re.findall(r"(?:\n|:)\n {4}# (\w+): \S", body) == PARAGRAPHS


@pytest.mark.slow
def test_without_a_flag_the_sample_is_learnt(tmp_path):
    """README's first command. The corpus is synthetic and made so that its names cannot be memorised."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ended = launch(BERT_NER, cwd=tmp_path)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == "Report: runs/bert-ner/report.html"
    report = report_of(tmp_path / "runs" / "bert-ner")
    f1 = {contender["name"]: contender["headline"] for contender in report["contenders"]}
    assert f1["fine-tuned (gradual)"] > 0.80
    assert f1["fine-tuned (gradual)"] > f1["lexicon"]
    # Three minutes on two cores; CPU seconds, because a busy machine must not fail this.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 360
