"""`hfkit evaluate` judges a saved model on other rows by the same report; `hfkit report` makes pages from a record."""

import json
import shutil
from pathlib import Path

import pytest
from datasets import Dataset, load_dataset

from hfkit.ledger.pages import render_ledger
from hfkit.report.schema import validate
from tests.fixtures import ledgers
from tests.fixtures.commands import hfkit
from tests.fixtures.examples import examples_of
from tests.tiny import text as tiny

RUNS = {"runs/bert-sentiment": "reviews", "runs/bert-ner": "entities", "runs/vit-images": "sample"}


def read_json(ended) -> dict:
    assert ended.exit_code == 0, ended.output
    return json.loads(ended.stdout)


def read_report(place: str | Path) -> dict:
    return json.loads((Path(place) / "report.json").read_text())


def read_refusal(ended) -> str:
    assert ended.exit_code == 2, ended.output
    return ended.stderr.splitlines()[-1]


@pytest.mark.parametrize("argv", [*examples_of("evaluate"), *examples_of("report")], ids=" ".join)
def test_the_examples_of_the_help_do_what_they_say(argv, finished_runs):
    ended = hfkit(*argv)
    assert ended.exit_code == 0, ended.output
    if "--json" in argv:
        assert all(Path(file).is_file() for file in read_json(ended)["files"])
    else:
        assert "report.html" in ended.stdout


@pytest.mark.parametrize("run", RUNS)
def test_on_its_own_test_rows_a_model_scores_as_in_the_report_of_its_run(run, finished_runs):
    before = (Path(run) / "report.json").read_bytes()
    found = read_json(hfkit("evaluate", run, "--dataset", RUNS[run], "--json"))
    of_run = read_report(run)
    assert found["contenders"] == [{"name": "saved model", "scores": of_run["contenders"][0]["scores"]}]
    assert found["interval"] == of_run["contenders"][0]["interval"]
    # The run's own report is where it was.
    assert (Path(run) / "report.json").read_bytes() == before
    made = read_report(Path(run) / f"evaluation-{RUNS[run]}")
    validate(made)
    assert made["training"] is None and made["rows"] == of_run["rows"]
    assert made["settings"]["checkpoint"] == run and made["settings"]["dataset"] == RUNS[run]
    assert made["settings"]["fine_tuned_from"] == of_run["settings"]["checkpoint"]
    assert made["data"]["labels"] == of_run["data"]["labels"]
    assert set(made["data"]) & {"train", "validation", "test"} == {"test"}
    facts = {key: value for key, value in of_run["data"]["test"].items() if key != "rows_shared_with_train"}
    assert made["data"]["test"] == facts


def test_one_file_is_enough_and_the_model_labels_need_not_all_be_in_it(finished_runs):
    rows = load_dataset("parquet", data_files="reviews/test.parquet", split="train", cache_dir="cache")
    positive = rows.filter(lambda row: row["label"] == "positive")
    positive.to_csv("positive.csv", index=False)
    found = read_json(
        hfkit("evaluate", "runs/bert-sentiment", "--dataset", "positive.csv", "--json", "--output_dir", "out")
    )
    assert found["rows"] == len(positive)
    assert read_report("out")["data"]["labels"] == ["negative", "positive"]
    Path("alone").mkdir()
    shutil.copy("positive.csv", "alone/anything.csv")
    again = read_json(hfkit("evaluate", "runs/bert-sentiment", "--dataset", "alone", "--json"))
    assert again["contenders"] == found["contenders"]
    lines = [
        f"{word}\t{tag}" for row in tiny.ner_rows(3, 5) for word, tag in [*zip(*row.values(), strict=True), ("", "")]
    ]
    Path("some.conll").write_text("\n".join(line if line != "\t" else "" for line in lines))
    assert read_json(hfkit("evaluate", "runs/bert-ner", "--dataset", "some.conll", "--json"))["rows"] == 3


def test_pictures_in_class_folders_are_one_split_too(finished_runs):
    for i, label in enumerate("012345"):
        (Path("digits") / label).mkdir(parents=True)
        shutil.copy(f"pictures/{i}.png", f"digits/{label}/{i}.png")
    assert read_json(hfkit("evaluate", "runs/vit-images", "--dataset", "digits", "--json"))["rows"] == 6
    shutil.copytree("digits", "splits/test")
    shutil.copytree("digits", "splits/later")
    shutil.rmtree("splits/later/5")
    assert read_json(hfkit("evaluate", "runs/vit-images", "--dataset", "splits", "--json"))["rows"] == 6
    assert (
        read_json(hfkit("evaluate", "runs/vit-images", "--dataset", "splits", "--split", "later", "--json"))["rows"]
        == 5
    )
    Path("table.csv").write_text("image,label\n" + "".join(f"pictures/{i}.png,{i}\n" for i in range(6)))
    assert read_json(hfkit("evaluate", "runs/vit-images", "--dataset", "table.csv", "--json"))["rows"] == 6


def test_baselines_learn_from_the_other_splits_of_the_data(finished_runs):
    argv = ["evaluate", "runs/bert-sentiment", "--baseline", "majority", "tf-idf", "--json"]
    found = read_json(hfkit(*argv, "--dataset", "reviews"))
    names = [contender["name"] for contender in found["contenders"]]
    assert names == ["saved model", "majority", "TF-IDF"]
    of_run = {one["name"]: one["scores"] for one in read_report("runs/bert-sentiment")["contenders"]}
    assert found["contenders"][1]["scores"] == of_run["majority"]
    assert found["contenders"][2]["scores"] == of_run["TF-IDF"]
    shutil.copytree("reviews", "less")
    Path("less/train.parquet").unlink()
    assert "the split 'train' is missing" in read_refusal(hfkit(*argv, "--dataset", "less"))
    assert "baselines are judged on" in read_refusal(hfkit(*argv, "--dataset", "reviews", "--split", "validation"))


def test_answers_that_the_model_does_not_know_are_named(finished_runs):
    rows = {"text": ["anna left.", "boris left."], "label": ["negative", "mixed"]}
    Dataset.from_dict(rows).to_csv("other.csv", index=False)
    argv = ["evaluate", "runs/bert-sentiment", "--dataset", "other.csv"]
    line = read_refusal(hfkit(*argv))
    assert "split 'test', row 1, column 'label': 'mixed'" in line
    assert "its label 'mixed' is none of the model's, which are negative, positive" in line
    ended = hfkit(*argv, "--on_bad_row", "skip", "--json")
    assert read_json(ended)["rows"] == 1 and "1 of 2 rows skipped" in ended.stderr
    sentences = [{"tokens": ["anna", "met", "acme"], "tags": ["B-PER", "O", "B-ORG"]}]
    Dataset.from_list(sentences).to_parquet("other.parquet")
    line = read_refusal(hfkit("evaluate", "runs/bert-ner", "--dataset", "other.parquet"))
    assert "row 0, column 'tags': tag 'B-ORG'" in line and "only LOC, PER" in line


def test_flags_of_the_task_are_those_of_the_new_rows(finished_runs):
    rows = {"said": ["anna left.", "boris likes rain."] * 3, "mood": ["negative", "positive"] * 3, "who": [*"aabbcc"]}
    Dataset.from_dict(rows).to_csv("other.csv", index=False)
    argv = ["evaluate", "runs/bert-sentiment", "--dataset", "other.csv", "--output_dir", "out"]
    assert "--text_column" in read_refusal(hfkit(*argv))
    of_run = read_report("runs/bert-sentiment")
    flags = ["--text_column", "said", "--label_column", "mood", "--unit_column", "who"]
    assert hfkit(*argv, *flags).exit_code == 0
    made = read_report("out")
    # Without the flag, rows are drawn, and whoever had units is told.
    (Path("runs/bert-sentiment") / "report.json").write_text(
        json.dumps(of_run | {"settings": of_run["settings"] | {"unit_column": "who"}})
    )
    ended = hfkit(*argv, *flags[:-2])
    assert ended.exit_code == 0 and "here rows are drawn: see --unit_column" in ended.stderr
    assert read_report("out")["task"]["unit"] == "text"
    assert made["task"]["unit"] == "who" and made["settings"]["text_column"] == "said"
    assert "Did you mean --label_column?" in read_refusal(hfkit(*argv, "--label_colum", "mood"))


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["nowhere", "--dataset", "reviews"], "it is no folder"),
        (["runs/bert-sentiment", "--dataset", "./nowhere"], "there is no such file or folder"),
        (["runs/bert-sentiment", "--dataset", "pictures"], "no file of rows lies in it"),
        (["runs/bert-sentiment", "--dataset", "reviews", "--split", "holdout"], "the data has none of this name"),
        (["runs/bert-sentiment", "--dataset", "picture.png"], "a file of rows is one of"),
        (["runs/bert-sentiment", "--dataset", "somebody/nothing"], "the Hub did not give it"),
        (
            ["runs/bert-sentiment", "--dataset", "reviews", "--output_dir", "runs/bert-sentiment"],
            "of the run lies there",
        ),
        (["runs/bert-sentiment", "--dataset", "reviews", "--baseline", "guess"], "baseline='guess'"),
    ],
)
def test_what_cannot_be_judged_is_refused(argv, message, finished_runs):
    assert message in read_refusal(hfkit("evaluate", *argv))


def test_pages_are_made_anew_from_the_record_alone(finished_runs):
    place = Path("runs/bert-ner")
    before = {file: (place / file).read_bytes() for file in ("report.json", "report.md", "report.html")}
    (place / "report.md").unlink()
    (place / "report.html").write_text("old")
    ended = hfkit("report", str(place))
    assert ended.exit_code == 0, ended.output
    assert {file: (place / file).read_bytes() for file in before} == before
    found = read_json(hfkit("report", str(place), "--json"))
    assert found["headline"] == read_report(place)["contenders"][0]["headline"]
    assert found["verdict"] == read_report(place)["verdict"]
    assert found["files"] == [str(place / name) for name in before]


def test_a_ledger_and_those_of_its_other_tests_get_their_pages(finished_runs):
    Path("compared").mkdir()
    pages = render_ledger(ledgers.full())
    for name in ("ledger.json", "ledger-shifted.json"):
        Path(f"compared/{name}").write_text(pages["ledger.json"])
    found = read_json(hfkit("report", "compared", "--json"))
    files = [Path(file).name for one in found for file in one["files"]]
    assert sorted(files) == sorted(path.name for path in Path("compared").iterdir())
    assert len(files) == 6
    assert [one["contender"] for one in found] == ["lp-ft", "lp-ft"]  # the chosen one, wherever it stands
    assert pages["ledger.md"] == Path("compared/ledger.md").read_text()


def test_a_record_of_another_version_is_named_by_its_version(tmp_path):
    (tmp_path / "report.json").write_text('{"schema": "hfkit.report/1"}')
    said = read_refusal(hfkit("report", str(tmp_path)))
    assert "'hfkit.report/1' is not 'hfkit.report/" in said and "missing" not in said


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        ("{}", "it is no record that this version of hfkit reads"),
        ("[]", "it holds an object, and this is a list"),
        ("no json", "it cannot be read as JSON"),
        ('{"schema": "hfkit.report/1"}', "it is no record that this version of hfkit reads"),
        ("other", "it is no record that this version of hfkit reads"),
    ],
)
def test_a_record_of_another_kind_is_refused_and_nothing_written(content, rule, finished_runs):
    if content == "other":
        content = json.dumps(read_report("runs/bert-ner") | {"schema": "hfkit.report/9"})
    Path("old").mkdir()
    Path("old/report.json").write_text(content)
    assert rule in read_refusal(hfkit("report", "old"))
    assert [path.name for path in Path("old").iterdir()] == ["report.json"]
    assert "there is no report.json" in read_refusal(hfkit("report", "pictures"))


def test_a_flag_that_is_misspelt_is_named_before_one_that_is_missing(finished_runs):
    said = read_refusal(hfkit("evaluate", "runs/bert-sentiment", "--datset", "reviews"))
    assert said.startswith("error: --datset: no such flag") and said.endswith("Did you mean --dataset?")
    said = read_refusal(hfkit("evaluate", "runs/bert-sentiment", "--dataset", "reviews", "--splt", "test"))
    assert said.endswith("Did you mean --split?")
    assert read_refusal(hfkit("evaluate", "runs/bert-sentiment")).startswith(
        "error: --dataset: nothing says which rows"
    )
