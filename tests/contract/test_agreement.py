"""The agreement of people stands in the report, and one of them is scored against the others."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from hfkit.doctor.people import examine_people
from hfkit.doctor.rows import read_rows
from hfkit.hub.card import render_card
from hfkit.hub.lint import lint_card
from hfkit.report.report import Report, render
from hfkit.report.schema import validate
from hfkit.tasks import NER, TextClassification
from tests.fixtures.reports import COST

TEXTS = [
    f"the {noun} was {how} on day {day}" for day in range(10) for noun in ("tea", "cake") for how in ("hot", "cold")
]


def write_lines(path: Path, rows: list[dict]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def labelled_by(text: str, names: str, labels: list) -> dict:
    return {"text": text, "annotations": [{"annotator": n, "label": v} for n, v in zip(names, labels, strict=True)]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Texts that three people labelled: of test, in 3 of 20 rows one of them disagrees, and 1 row is a tie."""
    folder = tmp_path_factory.mktemp("people")
    for split, count in {"train": 40, "validation": 20, "test": 20}.items():
        rows = []
        for number, text in enumerate(TEXTS[:count]):
            right, wrong = ("hot", "cold") if "hot" in text else ("cold", "hot")
            others = [right, wrong] if split == "test" and number < 3 else [right, right]
            rows.append(labelled_by(f"{text} in {split}", "abc", [right, *others]))
        if split == "test":
            rows.append(labelled_by("neither hot nor cold", "ab", ["hot", "cold"]))
        write_lines(folder / f"{split}.jsonl", rows)
    return folder


def test_one_person_is_scored_against_the_others_by_the_headline_of_the_task(folder):
    loaded = TextClassification(dataset=str(folder), on_bad_row="skip").load()
    test, ceiling = loaded.people["by_split"]["test"], loaded.people["ceiling"]
    # The tie counts for the agreement, and not for the ceiling: its row is no test row.
    assert (test["rows"], test["annotators"], test["answers"]) == (21, 3, 62)
    assert test["share"] == pytest.approx((17 + 3 / 3 + 0) / 21)
    # 17 rows of 3 right answers, and 3 rows with 1 wrong one; the 2 right ones there face a tie.
    assert (ceiling["answers"], ceiling["undecided"], ceiling["rows"]) == (54, 6, 20)
    assert ceiling["headline"] == pytest.approx(51 / 54)
    assert ceiling["interval"]["low"] < ceiling["headline"] < ceiling["interval"]["high"]
    assert loaded.people["by_split"]["train"]["alpha"] == 1.0


def test_the_others_are_scored_against_the_person_whose_answers_count(folder):
    loaded = TextClassification(dataset=str(folder), annotator="b").load()
    ceiling = loaded.people["ceiling"]
    # a and c of 20 rows, in 3 of which b says what both do not but for the tie, where a alone is against b.
    assert len(loaded["test"]) == 21
    assert (ceiling["answers"], ceiling["undecided"], ceiling["rows"]) == (41, 0, 21)
    assert ceiling["headline"] == pytest.approx((2 * 17 + 3) / 41)


def test_report_card_and_doctor_say_how_far_people_agree(folder):
    task = TextClassification(dataset=str(folder), on_bad_row="skip")
    loaded = task.load()
    report = Report(task, loaded, settings={"checkpoint": "sample", "output_dir": "runs/people"})
    report.add("fine-tuned", [["hot"]] * 20, cost=COST)
    facts = report.facts()
    assert facts["data"]["agreement"]["ceiling"]["answers"] == 54
    said = "People reach accuracy 0.944"
    pages = render(facts)
    assert all(said in page for page in (pages["report.md"], pages["report.html"], render_card(facts)))
    assert "agreement of annotators" in pages["report.html"]
    assert lint_card(render_card(facts), facts) == []
    broken = json.loads(pages["report.json"])
    broken["data"]["agreement"]["by_split"]["test"]["alpha"] = "high"
    with pytest.raises(ValueError, match=r"report.data.agreement.by_split.test.alpha"):
        validate(broken)
    (finding,), numbers = examine_people(read_rows(replace(task, on_bad_row="error"), None)[1])
    assert (
        finding.check == "agreement" and finding.severity == "note" and "62 answers of 3 people" in finding.evidence[2]
    )
    assert numbers["agreement"] == loaded.people


def test_spans_of_people_are_scored_as_entities(tmp_path):
    rows = []
    for number in range(30):
        names = [f"Anna{number}", f"Oslo{number}"]
        text = f"{names[0]} went to {names[1]} today"
        person, place = (0, len(names[0]), "PER"), (text.index(names[1]), text.index(" today"), "LOC")
        second = [person] if number % 10 == 0 else [person, place]
        both = [[person, place], second, [person, place]]
        given = [[dict(zip(("start", "end", "label"), one, strict=True)) for one in spans] for spans in both]
        people = [{"annotator": name, "spans": spans} for name, spans in zip("abc", given, strict=True)]
        rows.append({"text": text, "annotations": people})
    for split in ("train", "validation", "test"):
        write_lines(tmp_path / f"{split}.jsonl", rows)
    people = NER(dataset=str(tmp_path)).load().people
    assert people["by_split"]["test"]["scale"] == "words" and people["by_split"]["test"]["alpha"] > 0.9
    # In 3 rows b lacks a place: its answer has one entity of two, and those of a and c face a tie.
    assert people["ceiling"]["answers"] == 84 and people["ceiling"]["undecided"] == 6
    assert people["ceiling"]["headline"] == pytest.approx(2 * (81 * 2 + 3) / (81 * 4 + 3 + 6))


def test_rows_that_one_person_answered_have_no_agreement(tmp_path):
    write_lines(
        tmp_path / "all.jsonl", [labelled_by(text, "a", ["hot" if "hot" in text else "cold"]) for text in TEXTS]
    )
    assert TextClassification(dataset=str(tmp_path / "all.jsonl")).load().people is None
