"""The model card says what the report says, in a form the Hub reads, and nothing that was typed."""

import ast
import copy
import json
import math
import re

import numpy as np
import pytest
import yaml
from huggingface_hub import ModelCard
from huggingface_hub.repocard import REGEX_YAML_BLOCK
from markdown_it import MarkdownIt
from PIL import Image
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    ViTConfig,
    ViTForImageClassification,
    ViTImageProcessor,
)

from hfkit.contract.target import Labels
from hfkit.errors import UserError
from hfkit.hub import card as module
from hfkit.hub.card import render_card, write_card
from hfkit.report.names import is_hub_id
from hfkit.report.report import Report
from hfkit.report.schema import validate
from hfkit.tasks import NER
from tests.fixtures.reports import (
    COST,
    Bare,
    Correlation,
    Distance,
    Pictures,
    Tags,
    Texts,
    baseline,
    classified,
    made,
    picture,
)

SETTINGS = {
    "checkpoint": "google-bert/bert-base-cased",
    "output_dir": "runs/bert-ner",
    "strategy": "gradual",
    "pretrained": True,
    "learning_rate": 5e-5,
    "seed": 0,
}


@pytest.fixture(scope="module")
def report() -> dict:
    return made(Tags(), settings=SETTINGS).facts()


def metadata(text: str) -> dict:
    """The front matter, cut where huggingface_hub cuts it."""
    return yaml.safe_load(REGEX_YAML_BLOCK.search(text)[2])


def run_snippet(card: str) -> None:
    snippet = re.search(r"```python\n(.*?)```", card, flags=re.DOTALL)[1]
    exec(compile(snippet, "card", "exec"), {})  # noqa: S102


def headings(text: str) -> list[str]:
    return re.findall(r"^## (.*)$", text, flags=re.MULTILINE)


def test_the_hub_reads_the_scores_of_the_report(report):
    data = ModelCard(render_card(report)).data
    scores = report["contenders"][0]["scores"]
    assert {result.metric_type: result.metric_value for result in data.eval_results} == {
        name: scores[name] for name in ("f1", "precision", "recall")
    }
    assert all(type(result.metric_value) is float for result in data.eval_results)
    assert (data.library_name, data.pipeline_tag) == ("transformers", "token-classification")
    assert (data.base_model, data.model_name) == ("google-bert/bert-base-cased", "bert-ner")
    assert data.tags == ["hfkit", "gradual"]


def test_every_figure_is_the_reports(report):
    text = render_card(report)
    for contender in report["contenders"]:
        low, high = (f"{contender['interval'][end]:.3f}" for end in ("low", "high"))
        assert f"| {contender['name']} | {contender['headline']:.3f} | [{low}, {high}] |" in text
    for name, scores in report["breakdown"]["per_class"].items():
        assert f"| {name} | {scores['f1']:.3f} |" in text
    other = copy.deepcopy(report)
    other["contenders"][0]["headline"] = other["contenders"][0]["scores"]["f1"] = 0.123
    assert "0.123" not in text and "0.123" in render_card(other)
    assert metadata(render_card(other))["model-index"][0]["results"][0]["metrics"][0]["value"] == 0.123


def test_words_of_the_template_stand_apart_from_values(report):
    other = copy.deepcopy(report)
    other["contenders"][1]["baseline"] = True
    other["environment"] |= {"cpu": "one", "gpu": "two", "commit": "abc"}
    text = render_card(other)
    assert "| shuffled (baseline) |" in text and "in use) and two;" in text and "; commit abc." in text


def test_the_card_of_a_full_report_has_every_section(report):
    assert headings(render_card(report)) == [
        *("Use", "Labels", "Results", "Limits", "Training data", "Procedure", "Environment", "Citation")
    ]
    assert "```bash\npython recipes/bert_ner.py --seed 1\n```" in render_card(
        report | {"command": "recipes/bert_ner.py --seed 1"}
    )
    assert "```bash\npython -m train\n```" in render_card(report | {"command": "python -m train"})


@pytest.mark.parametrize("task", [Tags, Bare])
@pytest.mark.parametrize("trained", [True, False])
@pytest.mark.parametrize("settings", [SETTINGS, {"learning_rate": None}], ids=["settings", "none"])
def test_what_is_not_known_is_left_out(task, trained, settings):
    text = render_card(made(task(), trained=trained, settings=settings).facts())
    assert ("Training took" in text) == ("| stage |" in text) == trained
    assert ("| class |" in text) == (task is Tags)
    assert not re.search(r"^#.*\n+(#|\Z)", text, flags=re.MULTILINE)  # a heading has something under it
    assert "More information needed" not in text and "None" not in text and "\n\n\n" not in text
    assert metadata(text)["model-index"]


def test_synthetic_data_is_called_synthetic(report):
    other = copy.deepcopy(report)
    other["data"]["synthetic"] = True
    other["task"]["dataset"] = "sample"
    assert "synthetic" not in render_card(report) and "**synthetic**" in render_card(other)
    assert "datasets" not in metadata(render_card(other))


def test_a_model_from_random_weights_claims_no_base(report):
    scratch = made(Tags(), settings=SETTINGS | {"pretrained": False}).facts()
    assert scratch["origin"]["base"]["relation"] is None
    text = render_card(scratch)
    assert not {"base_model", "base_model_relation", "license"} & set(metadata(text))
    assert "random weights" in text and "only the architecture is taken" in text


@pytest.mark.parametrize("value", [math.nan, math.inf, np.float64(0.5)], ids=str)
def test_a_number_that_yaml_cannot_say_is_refused(report, value, tmp_path):
    broken = copy.deepcopy(report)
    broken["contenders"][0]["headline"] = broken["contenders"][0]["scores"]["f1"] = value
    with pytest.raises(ValueError, match="report.contenders"):
        validate(broken)
    if not math.isfinite(value):
        (tmp_path / "report.json").write_text(json.dumps(broken))
        with pytest.raises(UserError, match="report.contenders"):
            write_card(tmp_path)
        assert not (tmp_path / "README.md").exists()


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("leondz/wnut_17", True),
        ("google-bert/bert-base-cased", True),
        ("sample", False),
        ("../shared/data/wnut17", False),
        ("/data/x", False),
        ("~/x", False),
        ("a/b/c", False),
        ("a/b\n", False),
    ],
)
def test_only_ids_are_linked(name, known):
    assert is_hub_id(name) is known


def test_folders_stay_private(report):
    secret = "/home/somebody/secret"
    settings = SETTINGS | {"output_dir": f"{secret}/bert-ner", "checkpoint": f"{secret}/encoder"}
    text = render_card(made(Tags(dataset=f"{secret}/wnut17"), settings=settings).facts())
    assert "secret" not in text and "on wnut17." in text and "\nencoder, fine-tuned" in text
    assert "base_model" not in metadata(text)


HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "[click](javascript:alert(1))",
    "x\n---\nlicense: mit\n---\n# new",
    "'); import os; ('",
    "```\n<script>alert(1)</script>",
    "a | b | c",
    "{{ command }} {% raw %}",
    "!!python/object/apply:os.system ['true']",
    "*bold* _it_ `code` # heading",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text(report, text):
    def structure(hostile: str) -> tuple:
        other = copy.deepcopy(report)
        other["settings"] |= {"output_dir": hostile.replace("/", "∕"), "strategy": hostile, "checkpoint": hostile}
        other["origin"]["dataset"] |= {"name": hostile, "license": hostile, "revision": hostile, "language": [hostile]}
        other["origin"]["base"] |= {"name": hostile, "license": hostile, "revision": hostile}
        other["examples"] = {hostile: {"before": hostile, "text": hostile, "after": hostile, "picture": ""}}
        other["contenders"][0]["name"] = other["contenders"][1]["name"] = hostile
        other["verdict"] = other["command"] = other["environment"]["cpu"] = hostile
        other["data"]["labels"] = [hostile]
        other["breakdown"]["per_class"] = {hostile: other["breakdown"]["per_class"]["PER"]}
        rendered = render_card(other)
        front, body = metadata(rendered), REGEX_YAML_BLOCK.sub("", rendered, count=1)
        tokens = MarkdownIt("commonmark").enable("table").parse(body)
        kinds = [token.type for token in tokens]
        kinds += [child.type for token in tokens for child in token.children or [] if child.type != "text"]
        ast.parse(next(token.content for token in tokens if token.type == "fence"))
        return list(front), kinds

    assert structure(text) == structure("harmless")


def test_the_snippet_runs(report, checkpoint, tmp_path, monkeypatch, capsys):
    codec = NER().codec(checkpoint, Labels(("O", "B-LOC", "I-LOC", "B-PER", "I-PER")))
    codec.model().save_pretrained(tmp_path / "bert-ner")
    codec.processor.save_pretrained(tmp_path / "bert-ner")
    monkeypatch.chdir(tmp_path)
    run_snippet(render_card(report))
    assert "entity_group" in capsys.readouterr().out


@pytest.mark.parametrize("task", [Texts, Pictures])
def test_the_card_of_a_classifier(task):
    report = classified(task(), wrong=2)  # no better than its baseline
    report.show([{"picture": picture(8), "label": "class 1"}])
    text = render_card(report.facts())
    data = ModelCard(text).data
    assert data.pipeline_tag == task.tag and f'pipeline("{task.tag}", model="classifier")' in text
    assert [(result.metric_type, result.metric_name) for result in data.eval_results] == [("accuracy", "accuracy")]
    assert "data:image" not in text and "aggregation" not in text and "word" not in text
    assert "- It does not score above shifted." in text
    assert "| class 1 |" in text and f"resample {task().rows.unit}s, not training runs" in text
    assert {"Use", "Labels", "Results", "Limits"} <= set(headings(text))


def test_scores_go_by_the_names_of_the_hub():
    report = Report(Correlation(), Correlation().load(), settings=SETTINGS)
    report.add("fine-tuned", report.references, cost=COST)
    text = render_card(report.facts())
    assert metadata(text)["metrics"] == ["mae", "pearsonr", "rmse", "spearmanr"]
    names = {result.metric_type: result.metric_name for result in ModelCard(text).data.eval_results}
    assert names == {"pearsonr": "Pearson r", "spearmanr": "Spearman rho", "rmse": "RMSE", "mae": "MAE"}


@pytest.mark.parametrize("distance", [0.25, 0.75])
def test_of_a_score_that_is_better_lower_the_best_baseline_is_the_lowest(distance):
    report = Report(Distance(), Distance().load(), settings=SETTINGS)
    gold = report.references
    report.add("fine-tuned", [value + distance for value in gold], cost=COST)
    report.judge(baseline("far", [value + 1 for value in gold]), baseline("near", [value + 0.5 for value in gold]))
    text = render_card(report.facts())
    assert f"It reaches distance {distance:.3f} (" in text and "the best baseline, near, reaches 0.500." in text
    assert ("- It does not score below near." in text) == (distance > 0.5)
    assert metadata(text)["metrics"] == ["wer"]


def test_a_name_with_quotes_stays_one_literal_of_the_snippet(report):
    name = """it's "a" model"""
    code = re.search(r"```python\n(.*?)```", render_card(report, model=name), flags=re.DOTALL)[1]
    assert name in {node.value for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Constant)}
    assert "@model@" not in render_card(report)


def test_of_many_classes_the_card_shows_the_ends():
    text = render_card(classified(Texts(count=40)).facts())
    labels, results = text.split("## Results")
    assert len(re.findall(r"^\| class \d+ \|", results, flags=re.MULTILINE)) == 30
    assert "The 15 lowest F1 and 15 highest F1, of 40 classes." in text
    assert labels.count("of its class |") == 40 and "The model's labels" not in labels
    many = render_card(classified(Texts(count=60)).facts())
    assert many.count("of its class |") == 40 and "… (60 in all)." in many


def test_pictures_of_labels_stand_in_a_card_only_where_they_lie_beside_it(tmp_path):
    report = classified(Pictures())
    text = render_card(report.facts())
    assert "examples/" not in text and "The model's labels: class 0, class 1, class 2, class 3." in text
    report.save(tmp_path)
    beside = write_card(tmp_path).read_text()
    assert "| class 3 | 3 | ![an example](examples/3.png) |" in beside
    with Image.open(tmp_path / "examples" / "3.png") as example:
        assert example.size == (8, 8)


def test_the_snippets_of_classifiers_run(checkpoint, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    labels = {"num_labels": 4, "id2label": {i: f"class {i}" for i in range(4)}}
    AutoTokenizer.from_pretrained(checkpoint).save_pretrained("classifier")
    config = AutoConfig.from_pretrained(checkpoint, **labels)
    AutoModelForSequenceClassification.from_config(config).save_pretrained("classifier")
    run_snippet(render_card(classified(Texts()).facts()))
    assert "'label': 'class " in capsys.readouterr().out
    small = ViTConfig(
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=8,
        image_size=16,
        patch_size=8,
        **labels,
    )
    ViTForImageClassification(small).save_pretrained("classifier")
    ViTImageProcessor(size={"height": 16, "width": 16}).save_pretrained("classifier")
    Image.new("RGB", (20, 20)).save("picture.png")
    run_snippet(render_card(classified(Pictures()).facts()))
    assert capsys.readouterr().out.count("'label': 'class ") == 4


def test_the_template_is_where_one_of_the_two_places_is():
    assert [folder for folder in module.TEMPLATES if (folder / "template.md").is_file()]
