"""The report says what was measured and no more."""

import ast
import copy
import io
import json
import math
import mmap
import re
import sys
import time
from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

import hfkit.report
from hfkit.baselines.base import Answers, Baseline
from hfkit.contract.view import Text
from hfkit.errors import UserError
from hfkit.report import plots
from hfkit.report.pages import extremes, interval_text
from hfkit.report.report import Report, prompt_warnings, render, state_verdict
from hfkit.report.schema import to_plain, validate
from hfkit.runtime import machine
from hfkit.scores.score import headline_text
from hfkit.tasks import TextClassification
from hfkit.tasks.classification.judges import ClassJudge, LabelSetJudge, NumberJudge, ScaleJudge
from hfkit.tasks.classification.kinds import KINDS
from hfkit.tasks.tagging.judges import EntityJudge
from tests.fixtures.reports import (
    COST,
    LOG,
    PLAN,
    Bare,
    Correlation,
    Distance,
    Synthetic,
    TagJudge,
    Tags,
    Texts,
    TextView,
    baseline,
    classified,
    made,
    spoilt,
)


class Memoriser(Baseline):
    """A baseline that uses time, processor and memory, and answers with one tag."""

    name, description = "memoriser", "remembers everything, understands nothing"

    def answers(self, task, rows):
        time.sleep(0.15)
        # Straight from the system: the allocator may have that much left from an earlier test.
        block = np.frombuffer(mmap.mmap(-1, 96_000_000))  # 92 MiB
        start = time.process_time()
        while time.process_time() - start < 0.13:  # the cost is read from a clock with ticks
            block += 1
        return Answers([["B-PER"] + ["O"] * (len(words) - 1) for words in rows["test"]["tokens"]])


@pytest.fixture(scope="module")
def facts() -> dict:
    return made(Tags()).facts()


def test_three_files_are_written_and_the_record_reads_back_as_it_was(tmp_path):
    report = made(Tags())
    page = report.save(tmp_path / "new" / "folder")
    assert page == tmp_path / "new" / "folder" / "report.html"
    assert sorted(path.name for path in page.parent.iterdir()) == ["report.html", "report.json", "report.md"]
    record = json.loads(page.with_suffix(".json").read_text())
    validate(record)
    assert {**record, "created": ""} == {**report.facts(), "created": ""}
    assert render(record)["report.html"] == page.read_text()  # the page comes from the record alone


def test_scores_are_the_tasks_own(facts):
    task = Tags()
    rows = task.load()
    expected = task.judge.score(spoilt(task, rows, 4), task.rows.references(rows["test"]))
    first, second = facts["contenders"]
    assert first["scores"] == expected and first["headline"] == expected["f1"]
    assert first["interval"]["low"] < first["headline"] < first["interval"]["high"]
    assert first["difference"] is None and second["difference"]["to"] == "fine-tuned"
    assert second["difference"]["difference"] == pytest.approx(second["headline"] - first["headline"])
    assert second["difference"]["high"] < 0
    assert facts["breakdown"]["per_class"]["LOC"]["f1"] < 1
    assert {error["why"] for error in facts["errors"]} >= {"PER taken for LOC", "LOC missed"}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"f1": 0.5}, "score.. says f1 0.5, the evidence says"), ({"recall": np.nan}, "recall is nan")],
)
def test_a_score_that_the_interval_is_not_of_or_that_is_not_finite_is_refused(wrong, message):
    class WrongJudge(TagJudge):
        def score(self, predictions, references):
            return super().score(predictions, references) | wrong

    class Wrong(Tags):
        judge = WrongJudge()

    with pytest.raises(ValueError, match=message):
        made(Wrong())


def test_a_contender_answers_every_row_once():
    report = made(Tags())
    with pytest.raises(ValueError, match="1 answers to 24 test rows"):
        report.add("short", [["O"]], cost=COST)
    with pytest.raises(ValueError, match="shuffled: a contender of that name"):
        report.add("shuffled", report.references, cost=COST)
    with pytest.raises(ValueError, match="lacks cpu_seconds, peak_memory_mib"):
        report.add("other", report.references, cost={"wall_seconds": 1.0})
    with pytest.raises(ValueError, match="at least one contender"):
        Report(Tags(), Tags().load(), settings={}).facts()


def test_judge_measures_what_a_baseline_costs():
    report = made(Tags())
    report.judge(Memoriser())
    contender = report.contenders[-1]
    assert contender["baseline"] and contender["description"] == Memoriser.description
    answers = Memoriser().answers(None, report.rows).predictions
    assert contender["headline"] == Tags().judge.score(answers, report.references)["f1"]
    assert contender["cost"]["wall_seconds"] >= 0.25
    assert 0.1 <= contender["cost"]["cpu_seconds"] < contender["cost"]["wall_seconds"]
    with machine.measure() as without:
        pass
    assert contender["cost"]["peak_memory_mib"] > without["peak_memory_mib"] + 60


def test_a_process_that_does_not_write_the_report_runs_no_baseline_and_saves_nothing(tmp_path):
    task = Tags()
    rows = task.load()
    report = Report(task, rows, settings={}, active=False)
    report.add("fine-tuned", spoilt(task, rows, 4), cost=COST)
    report.judge(Memoriser(), Memoriser())
    report.save(tmp_path / "out")
    assert report.contenders == [] and not (tmp_path / "out").exists()


CORRUPTIONS = {
    "a key lost": lambda r: r.pop("verdict"),
    "a key too many": lambda r: r.update(extra=1),
    "a lost key within": lambda r: r["contenders"][0]["interval"].pop("note"),
    "another version": lambda r: r.update(schema="hfkit.report/0"),
    "nan": lambda r: r["contenders"][0]["cost"].update(wall_seconds=math.nan),
    "infinity": lambda r: r["training"]["plan"][0].update(share=math.inf),
    "nan in the task's facts": lambda r: r["data"].update(mean=[1.0, math.nan]),
    "numpy float": lambda r: r["contenders"][1]["interval"].update(low=np.float64(0.5)),
    "numpy int": lambda r: r["data"].update(rows=np.int64(3)),
    "bool for int": lambda r: r.update(rows=True),
    "int for float": lambda r: r["training"]["cost"].update(cpu_seconds=1),
    "text for a number": lambda r: r["errors"][0].update(row="3"),
    "number for text": lambda r: r["environment"]["versions"].update(torch=2),
    "a tuple": lambda r: r["settings"].update(betas=(0.9, 0.99)),
    "a key that is no text": lambda r: r["settings"].update({1: "one"}),
    "a list for a mapping": lambda r: r.update(data=[]),
    "null where it is needed": lambda r: r.update(command=None),
    "a headline that is not the score": lambda r: r["contenders"][0].update(headline=0.999),
    "a headline that is none of the scores": lambda r: r["task"]["scores"].pop(0),
    "a direction that is none": lambda r: r["task"]["scores"][0].update(better="more"),
    "no snippet": lambda r: r["snippets"].update(model=None),
}


@pytest.mark.parametrize("corrupt", CORRUPTIONS.values(), ids=CORRUPTIONS)
def test_validate_refuses(corrupt, facts):
    report = copy.deepcopy(facts)
    validate(report)
    corrupt(report)
    with pytest.raises(ValueError, match="report"):
        validate(report)


def test_values_are_made_plain():
    class Named(str):
        pass

    value = {Path("a"): (np.float32(0.5), np.array([1, 2])), "s": {"b", "a"}, "text": Named("x"), "broken": "\ud800"}
    assert to_plain(value) == {"a": [0.5, [1, 2]], "s": ["a", "b"], "text": "x", "broken": "?"}
    assert {type(item) for item in to_plain([np.True_, np.int8(1), np.str_("x")])} == {bool, int, str}


@pytest.mark.parametrize(
    ("good", "bad", "expected"),
    [
        (4, 1, r"^fine-tuned is 0\.\d+ \[0\.\d+, 0\.\d+\] F1 above the best other contender \(rival\)"),
        (
            1,
            4,
            r"^fine-tuned is 0\.\d+ \[0\.\d+, 0\.\d+\] F1 below the best other contender \(rival\), which does better",
        ),
        (4, 5, r"cannot be told apart on 24 test sentences: .*\[−0\.\d+, 0\.\d+\], p = "),
    ],
)
def test_the_verdict_claims_what_the_interval_supports(good, bad, expected):
    task = Tags()
    rows = task.load()
    report = Report(task, rows, settings={})
    report.add("fine-tuned", spoilt(task, rows, good), cost=COST)
    alone = state_verdict(report.contenders, task.judge.headline, "sentence", 24)
    assert alone.startswith("fine-tuned reaches F1 0.")
    report.add("rival", spoilt(task, rows, bad), cost=COST)
    verdict = report.facts()["verdict"]
    assert re.search(expected, verdict) and "3.2 CPU seconds against 3.2" in verdict


@pytest.mark.parametrize(
    ("distance", "expected"),
    [
        (0.1, r"^fine-tuned is 0\.395 \[0\.\d+, 0\.\d+\] distance below the best baseline \(near\)\. It cost"),
        (
            2.5,
            r"^fine-tuned is 2\.119 \[2\.\d+, 2\.\d+\] distance above the best baseline \(near\), which does better",
        ),
    ],
)
def test_of_a_score_that_is_better_lower_the_lowest_rival_is_the_best(distance, expected):
    task = Distance()
    report = Report(task, task.load(), settings={})
    gold = report.references
    # Not all alike: an interval without width would say nothing.
    report.add("fine-tuned", [value + distance * (1 + i % 2 / 10) for i, value in enumerate(gold)], cost=COST)
    report.judge(baseline("far", [value + 1 for value in gold]), baseline("near", [value + 0.5 for value in gold]))
    assert re.search(expected, report.facts()["verdict"])


def test_the_baseline_that_decides_is_the_best_of_those_that_do_better_by_a_corrected_p():
    def rival(name: str, headline: float, half: float, p: float) -> dict:
        lead = headline - 0.8
        pair = {"difference": lead, "low": lead - half, "high": lead + half, "level": 0.95, "p": p}
        return {"name": name, "baseline": True, "headline": headline, "cost": COST, "difference": pair}

    first = {"name": "fine-tuned", "baseline": False, "headline": 0.8, "cost": COST, "difference": None}
    score, weak = Distance().judge.headline, [rival("weak", 0.3, 0.1, 0.001)]
    ahead = [rival("ahead", 0.70, 0.05, 0.04), rival("sure", 0.72, 0.02, 0.001)]
    # Lower is better here: `weak` is far better, `ahead` and `sure` a little.
    assert "above the best baseline (weak), which does better" in state_verdict([first, *weak, *ahead], score, "row", 9)
    # By itself p = 0.04 would do; of two comparisons it would be 0.08 without the other.
    assert "above the baseline (sure), which does better" in state_verdict(
        [first, rival("ahead", 0.70, 0.05, 0.06), ahead[1]], score, "row", 9
    )
    unsure = state_verdict([first, rival("ahead", 0.70, 0.05, 0.04), rival("far", 0.9, 0.5, 0.9)], score, "row", 9)
    assert "the best baseline (ahead) cannot be told apart" in unsure and "p = 0.08" in unsure
    assert "corrected for 2 comparisons, does not" in unsure


def test_sections_that_were_not_measured_are_not_there():
    full, bare = made(Tags()), made(Bare(), trained=False)
    headings = [set(re.findall(r"<h[23]>(.*?)</h", render(report.facts())["report.html"])) for report in (full, bare)]
    assert headings[0] - headings[1] == {
        "Training", "Plan", "Checked while it ran", "By class", "What is taken for what", "Instructive errors"
    }  # fmt: skip
    facts = bare.facts()
    assert facts["training"] is None and facts["breakdown"] is None and facts["errors"] == []
    assert "## Training" not in render(facts)["report.md"] and "## Errors" not in render(facts)["report.md"]


def test_the_same_input_gives_the_same_report():
    one, other = ({**made(Tags()).facts(), "created": "2026-01-01T00:00:00+00:00"} for _ in range(2))
    assert render(one) == render(other)


def test_markdown_has_a_line_for_every_contender_class_and_error(facts):
    lines = render(facts)["report.md"].splitlines()
    for contender in facts["contenders"]:
        assert sum(line.startswith(f"| {contender['name']} |") for line in lines) == 1
    for label, scores in facts["breakdown"]["per_class"].items():
        assert any(line.startswith(f"| {label} | {scores['f1']:.3f} |") for line in lines)
    for kind in ("- row ", "  - gold: ", "  - predicted: "):
        assert sum(line.startswith(kind) for line in lines) == len(facts["errors"]) > 0


def test_synthetic_data_is_called_synthetic(facts):
    pages = render(made(Synthetic()).facts())
    assert "Synthetic data" in pages["report.html"] and "Synthetic data" in pages["report.md"]
    assert "Synthetic data" not in render(facts)["report.html"] + render(facts)["report.md"]


def test_a_single_test_row_is_reported_with_a_warning():
    task = Tags()
    rows = task.load()
    report = made(task, loaded=rows.with_splits({**rows.splits, "test": rows["test"].select([0])}))
    assert "cannot be told apart on 1 test sentence:" in report.facts()["verdict"]
    assert "one row: there is nothing to resample" in render(report.facts())["report.html"]


def test_secrets_and_the_home_folder_are_withheld(monkeypatch, tmp_path):
    secret = "hf_" + "Ab1" * 10
    monkeypatch.chdir(tmp_path)
    flags = ["--hub_token", "plain-secret", "--hub_token=plain-secret", "--note", f"x{secret} {secret}"]
    monkeypatch.setattr(sys, "argv", ["/elsewhere/bin/train.py", *flags])
    home = str(Path.home())
    settings = {"hub_token": "plain-secret", "nested": [{"api_key": "plain-secret"}], "note": f"({secret})"}
    settings |= {"output_dir": f"{home}/runs", "token": None, "max_tokens": 7}
    pages = render(made(Tags(dataset=f"{home}/corpus"), settings=settings).facts())
    for page in pages.values():
        assert "plain-secret" not in page and f" {secret}" not in page and f"({secret}" not in page
        assert f"{home}/" not in page and "/elsewhere" not in page
    record = json.loads(pages["report.json"])
    assert record["settings"]["output_dir"] == "~/runs" and record["task"]["dataset"] == "~/corpus"
    assert record["settings"]["token"] is None and record["settings"]["max_tokens"] == 7


class LeakyView(TextView):
    def row(self, row):
        return Text("see hf_" + "Ab1" * 10)


class Leaky(Texts):
    view = LeakyView(KINDS["single-label"], None)


def test_rows_with_secrets_are_on_no_page():
    """A row that was judged wrong is shown among the errors, as an example of its label is."""
    report = classified(Leaky()).facts()
    assert report["errors"][0]["text"] == "see (withheld)" and "see (withheld)" in report["snippets"]["model"]
    assert not [name for name, page in render(report).items() if "hf_Ab1" in page]


def test_the_command_can_be_given_to_a_shell_again(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    # What `accelerate launch recipes/bert_ner.py …` leaves in argv.
    monkeypatch.setattr(sys, "argv", ["recipes/bert_ner.py", "--dataset", "my data", "--seed", "1"])
    assert machine.command() == "recipes/bert_ner.py --dataset 'my data' --seed 1"
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "recipes" / "bert_ner.py")])
    assert machine.command() == "recipes/bert_ner.py"
    monkeypatch.setattr(sys, "argv", ["/elsewhere/hfkit/cli/__main__.py", "evaluate", "out"])
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", ModuleSpec("hfkit.cli.__main__", None))
    assert machine.command() == "python -m hfkit.cli evaluate out"


def test_the_console_table_fits_and_takes_names_as_they_are():
    report = made(Tags(), name="fine-tuned [bold]x[/bold]")
    written = io.StringIO()
    Console(width=80, file=written).print(report.table())
    assert max(map(len, written.getvalue().splitlines())) <= 80
    text = re.sub(r"\s", "", written.getvalue())
    assert "…" not in text
    for contender in report.contenders:
        assert f"{contender['headline']:.3f}" in text
    assert "[bold]" in text


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="output_dir .*file/out.*could not be written"):
        made(Tags()).save(tmp_path / "file" / "out")


def test_errors_are_named_by_their_rows_in_the_file_though_splits_are_drawn_and_rows_left_out(tmp_path):
    rows = [
        {"text": f"number {number}", "label": ["odd", "even", None][2 if number == 7 else number % 2]}
        for number in range(60)
    ]
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = TextClassification(dataset=str(file), on_bad_row="skip")
    report = Report(task, loaded := task.load(), settings={"checkpoint": "sample"})
    report.add("one", [["odd"]] * len(loaded["test"]), cost=COST)
    errors = report.facts()["errors"]
    assert errors and all(rows[error["row"]] == {"text": error["text"], "label": "even"} for error in errors)
    assert all(f"<li><bdi>{note}</bdi></li>" in render(report.facts())["report.html"] for note in loaded.notes)


def test_a_rate_that_was_logged_once_is_no_curve():
    log = [{"loss": 1.0, "head_learning_rate": 1e-3, "epoch": 1.0}]
    assert [chart["title"] for chart in plots.curves(log, "f1", "F1", PLAN)] == ["Loss"]


def test_curves_leave_out_what_is_not_a_number_and_mark_where_stages_begin():
    charts = {chart["title"]: chart for chart in plots.curves(LOG, "f1", "F1", PLAN)}
    assert list(charts) == ["Loss", "F1 on validation", "Learning rate"]
    loss = charts["Loss"]
    assert [line["name"] for line in loss["lines"]] == ["training", "validation"]
    assert loss["lines"][0]["points"] == [(16.67, 100.0), (66.67, 0.0)]
    assert loss["thaws"] == [33.33] and loss["x"][-1] == (100.0, "3")
    assert [text for _, text in charts["Learning rate"]["y"]] == ["1e-6", "1e-5", "1e-4", "1e-3"]
    assert plots.curves([{"loss": "nan", "epoch": 1.0}, {"loss": 2.0}], "f1", "F1", PLAN) == []


@pytest.mark.parametrize("low", [-3.0, 0.0, 0.123, 17.0])
@pytest.mark.parametrize("width", [0.0, 1e-3, 0.4, 1.0, 5000.0])
def test_ticks_are_few_round_and_cover_the_values(low, width):
    found = plots.ticks(low, low + width)
    assert 2 <= len(found) <= 7 and found == sorted(set(found))
    assert found[0] <= low + 1e-9 and found[-1] >= low + width - 1e-9
    assert all(len(f"{tick:g}") <= 7 for tick in found)


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("accuracy", "accuracy"),
        ("f1", "F1"),
        ("macro_f1", "macro F1"),
        ("top5_accuracy", "top-5 accuracy"),
        ("mcc", "MCC"),
        ("quadratic_kappa", "quadratic kappa"),
        ("pearson", "Pearson r"),
        ("spearman", "Spearman rho"),
        ("rmse", "RMSE"),
        ("wer", "WER"),
        ("exact_match", "exact match"),
    ],
)
def test_a_score_goes_by_the_name_that_readers_know(key, name):
    judges = EntityJudge, TagJudge, ClassJudge, LabelSetJudge, NumberJudge, ScaleJudge
    assert headline_text(key, [score.to_json() for judge in judges for score in judge.scores]) == name


def test_a_score_goes_by_the_title_that_its_judge_gives_it():
    report = Report(Correlation(), Correlation().load(), settings={})
    report.add("fine-tuned", report.references, cost=COST)
    page = render(report.facts())["report.html"]
    assert "Pearson r" in page and "Spearman rho" in page and "RMSE" in page and "pearson</th>" not in page


def test_scores_below_zero_and_above_one_are_shown_as_they_are():
    task = Correlation()
    report = Report(task, task.load(), settings={})
    report.add("fine-tuned", [-score for score in report.references], cost=COST)
    report.add("other", list(report.references), cost=COST)
    facts = report.facts()
    assert facts["contenders"][0]["headline"] == pytest.approx(-1) and facts["contenders"][0]["scores"]["rmse"] > 1
    assert "Pearson r below the best other contender" in facts["verdict"]
    for row in plots.forest(facts["contenders"])["rows"]:
        assert 0 <= row["low"] <= row["value"] <= row["high"] <= 100
    pages = render(facts)
    for page in (pages["report.html"], pages["report.md"]):
        assert "\N{MINUS SIGN}1.000" in page and "Pearson r" in page and not re.search(r"[|>\[] ?-\d", page)
    assert re.search(r"RMSE</th><td class=\"n\">\d\.\d{3}</td>", pages["report.html"])
    written = io.StringIO()
    Console(width=80, file=written).print(report.table())
    assert max(map(len, written.getvalue().splitlines())) <= 80 and "…" not in written.getvalue()


def test_few_and_many_classes():
    def scores(f1: float, support: int) -> dict:
        return {"precision": f1, "recall": f1, "f1": f1, "support": support}

    few = {f"class {i}": scores(i / 30, 1) for i in range(30)}
    assert extremes(few) == [("", few)]
    many = {f"class {i}": scores(i % 50 / 50, i) for i in range(151)}
    (low_title, lowest), (high_title, highest) = extremes(many)
    assert (low_title, high_title) == ("15 lowest F1", "15 highest F1") and not lowest.keys() & highest.keys()
    assert list(lowest)[:4] == ["class 150", "class 100", "class 50", "class 101"]  # class 0 is not in test
    assert list(highest)[:2] == ["class 149", "class 99"]
    assert max(one["f1"] for one in lowest.values()) < min(one["f1"] for one in highest.values())
    unseen = {name: scores(0.5, int(name == "class 7")) for name in many}
    assert extremes(unseen) == [("1 lowest F1", {"class 7": scores(0.5, 1)})]


def test_a_sentence_in_pieces_is_the_sentence():
    tokens, gold, ours = (
        "a b c d e".split(),
        [{"start": 1, "end": 3, "label": "X"}],
        [{"start": 4, "end": 5, "label": "X"}],
    )
    pieces = plots.pieces(tokens, gold + ours, ours)
    assert " ".join(piece["text"] for piece in pieces) == "a b c d e"
    assert [(piece["label"], piece["agreed"]) for piece in pieces] == [
        ("", True),
        ("X", False),
        ("", True),
        ("X", True),
    ]


def test_nothing_heavy_is_imported_before_it_is_needed():
    heavy = {"torch", "scipy", "jinja2", "matplotlib", "rich", "psutil", "sklearn", "transformers"}
    for name in ("schema", "plots", "pages", "names", "snippets", "report"):
        tree = ast.parse((Path(hfkit.report.__path__[0]) / f"{name}.py").read_text())
        names = {alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names}
        names |= {node.module or "" for node in tree.body if isinstance(node, ast.ImportFrom)}
        assert not {name.split(".")[0] for name in names} & heavy


def test_a_prompts_score_is_shown_with_its_spread_over_orders():
    spread = {"raw": {"headlines": [0.4, 0.6], "min": 0.4, "max": 0.6}}
    warnings = prompt_warnings({"orders": spread, "unparseable": 0.25, "seconds": 1.0})
    assert warnings == ["raw, 2 orders of the examples score 0.400 to 0.600", "25.0% of its answers could not be read"]
    assert prompt_warnings({"orders": {"raw": {"headlines": [0.4]}}, "unparseable": 0.0}) == []


def test_an_interval_is_printed_with_as_many_digits_as_show_its_width():
    shown = [interval_text({"low": -half, "high": half}) for half in (0.02, 0.00038, 0.000021, 0.0)]
    assert shown == ["[−0.020, 0.020]", "[−0.0004, 0.0004]", "[−0.00002, 0.00002]", "[0.000, 0.000]"]  # noqa: RUF001
    assert interval_text({"low": 0.99982, "high": 1.0}) == "[0.9998, 1.0000]"
