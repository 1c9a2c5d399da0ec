"""Hostile text in data, names and settings stays text in the report, and the page fetches nothing."""

import re
from functools import cache

import pytest
from datasets import Dataset, DatasetDict

from hfkit.contract.target import Labels
from hfkit.contract.task import Loaded
from hfkit.report.report import Report, render
from tests.fixtures.hostile import TEXTS, Page, assert_stays_text, assert_stays_text_in_markdown, faults
from tests.fixtures.reports import COST, LOG, PLAN, Tags, baseline, made


def test_the_page_fetches_nothing():
    html = render(made(Tags()).facts())["report.html"]
    page = Page(html)
    assert faults(page) == []
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in html
    style = html.split("<style>")[1].split("</style>")[0]
    assert not re.search(r"url\s*\(|@import|@font-face|//", style)
    assert not re.search(r"https?:|//", html)  # this report's own texts hold no address either


@cache
def hostile(text: str) -> dict[str, str]:
    """The pages of a report with `text` wherever a user's own text can stand."""
    task = Tags(dataset=text)
    label = text.strip("-") or "dashes"  # no tag reader takes a type that is only hyphens
    rows = [{"tokens": [text, "met", text], "tags": ["B-PER", "O", f"B-{label}"]}] * 3
    splits = DatasetDict({split: Dataset.from_list(rows) for split in ("train", "validation", "test")})
    report = Report(
        task,
        Loaded(splits, Labels(("O", f"B-{label}"))),
        settings={"checkpoint": text, text: [text], "nested": {text: text}},
    )
    report.add_training(
        plan=[{**PLAN[0], "names": text}], log_history=[{**LOG[0], text: text}], cost=COST, invariants={text: text}
    )
    report.add(text, [[f"B-{label}", "O", "O"]] * 3, cost=COST, description=text)
    report.judge(baseline(text + "'", report.references, description=text))
    return render(report.facts())


@pytest.mark.parametrize("text", TEXTS)
def test_hostile_text_stays_text(text):
    page = Page(hostile(text)["report.html"])
    assert faults(page) == []
    assert_stays_text(page, Page(hostile("harmless")["report.html"]), text, least=10)


@pytest.mark.parametrize("text", TEXTS)
def test_hostile_text_stays_text_in_markdown(text):
    assert_stays_text_in_markdown(hostile(text)["report.md"], hostile("harmless")["report.md"])
