"""The ledger's page shows what ledger.json holds, lets no hostile text act, and reads well in a browser."""

import json
import math
import re
import shutil
import subprocess
from functools import cache

import numpy as np
import pytest

from hfkit.ledger import label_places
from hfkit.ledger import plots as ledger_plots
from hfkit.ledger.pages import large_text, p_text, rank, rate_text, render_ledger
from hfkit.ledger.schema import validate_ledger
from hfkit.report.pages import interval_text, score_text, signed_text
from hfkit.scores.score import headline_score
from tests.fixtures import ledgers
from tests.fixtures.hostile import TEXTS, Page, assert_stays_text, assert_stays_text_in_markdown, faults
from tests.fixtures.reports import picture

SECTIONS = {  # id in the page -> heading in Markdown, None where there is only a plot
    "contenders": "## Contenders",
    "forest": None,
    "pareto": None,
    "learning": None,
    "budgets": "## How many labels it takes",
    "calibration": "## Calibration",
    "classes": "## Class by class",
    "disagreements": "## Rows that only one gets right",
    "orders": "## The order of a prompt's demonstrations",
    "tuning": "## The tuning that each got",
    "how": "## How it was run",
}


@cache
def pages(kind: str) -> dict[str, str]:
    return render_ledger(ledgers.ALL[kind]())


def sections(html: str) -> list[str]:
    return re.findall(r'<section id="(\w+)">', html)


def cells(html: str) -> list[list[str]]:
    """The texts of the contenders' table, row by row."""
    body = re.search(r'<table class="ledger-table">.*?<tbody>(.*?)</tbody>', html, flags=re.DOTALL)[1]
    return [
        [
            " ".join(Page(cell.replace("<", " <")).text.split())
            for cell in re.findall(r"<t[hd].*?</t[hd]>", row, flags=re.DOTALL)
        ]
        for row in re.findall(r"<tr.*?</tr>", body, flags=re.DOTALL)
    ]


def test_three_files_and_the_record_as_it_was():
    ledger = ledgers.full()
    written = render_ledger(ledger)
    assert list(written) == ["ledger.json", "ledger.md", "ledger.html"]
    assert json.loads(written["ledger.json"]) == ledger == ledgers.full()
    assert render_ledger(json.loads(written["ledger.json"])) == written


def test_every_section_appears_in_order_with_the_verdict_first():
    html, markdown = pages("full")["ledger.html"], pages("full")["ledger.md"]
    assert sections(html) == list(SECTIONS)
    assert html.index('id="verdict"') < html.index("What to try next") < html.index('id="contenders"')
    places = [markdown.index(heading) for heading in SECTIONS.values() if heading]
    assert places == sorted(places)


def test_what_is_empty_is_left_out():
    html, markdown = pages("minimal")["ledger.html"], pages("minimal")["ledger.md"]
    assert sections(html) == ["contenders", "forest", "pareto", "how"]
    assert [line for line in markdown.splitlines() if line.startswith("## ")] == ["## Contenders", "## How it was run"]
    for heading in ("What to try next", "Notes", "Skipped", "Failed", "Settings", "Against", "rule:"):
        assert heading not in html


@pytest.mark.parametrize(
    ("section", "empty"),
    [
        ("learning", lambda r: [seed.update(curve=[]) for c in r["contenders"] for seed in c["seeds"]]),
        ("budgets", lambda r: r.update(budgets=None)),
        ("budgets", lambda r: r["budgets"].update(curves=[])),
        ("calibration", lambda r: [c.update(calibration=None) for c in r["contenders"]]),
        ("classes", lambda r: r.update(classes=None)),
        ("classes", lambda r: r["classes"].update(labels=[], scores={})),
        ("disagreements", lambda r: r.update(disagreements=[])),
        ("orders", lambda r: [c.update(facts={}) for c in r["contenders"]]),
        ("tuning", lambda r: [c.update(tuning=None) for c in r["contenders"]]),
    ],
)
def test_one_section_is_left_out_alone(section, empty):
    ledger = ledgers.full()
    empty(ledger)
    written = render_ledger(ledger)
    assert sections(written["ledger.html"]) == [name for name in SECTIONS if name != section]
    if SECTIONS[section]:
        assert SECTIONS[section] not in written["ledger.md"]


def test_a_ledger_in_which_everything_failed_says_so():
    ledger = ledgers.minimal() | {
        "contenders": [],
        "failed": [{"name": "full", "seed": 0, "reason": "out of memory"}],
        "verdict": {"sentences": [{"rule": "nothing", "text": "No run came to an end."}], "next": []},
    }
    written = render_ledger(ledger)
    assert sections(written["ledger.html"]) == ["how"]
    for text in written["ledger.html"], written["ledger.md"]:
        assert "No run came to an end." in text and "out of memory" in text


@pytest.mark.parametrize("kind", ledgers.ALL)
def test_the_numbers_on_the_page_are_those_of_the_record(kind):
    ledger, html, markdown = ledgers.ALL[kind](), pages(kind)["ledger.html"], pages(kind)["ledger.md"]
    rows = cells(html)
    contenders = rank(ledger["contenders"], headline_score(ledger["task"]).sign)
    assert len(rows) == len(contenders)
    for i, (c, row) in enumerate(zip(contenders, rows, strict=True)):
        assert row[0].startswith(f"{i + 1} {c['name']}") and row[0].endswith(c["description"])
        assert row[1] == f"{score_text(c['headline'])} {interval_text(c['interval'])}"
        assert row[2] == ("–" if c["spread"] is None else score_text(c["spread"]))
        assert row[3] == ("–" if c["validation"] is None else score_text(c["validation"]))
        if c["difference"]:
            noise = "" if c["difference"]["different"] else "within noise "
            p = f"{p_text(c['difference']['p_holm'])} (Holm)"
            pair = f"{signed_text(c['difference']['difference'])} {interval_text(c['difference'])}"
            assert row[4] == f"{noise}{pair} {p}"
        assert row[5] == f"{len(c['seeds']) - c['failed']} / {c['failed']}"
        assert float(row[6].replace(",", "")) == pytest.approx(c["cost"]["cpu_seconds"], rel=0.05)
        assert float(row[7].replace(",", "")) == pytest.approx(c["cost"]["tuning_cpu_seconds"], rel=0.05)
        assert f"| {i + 1} | {c['name']}" in markdown
    if kind == "full":
        text = Page(html).text
        for sentence in ledger["verdict"]["sentences"]:
            assert sentence["text"] in text and sentence["text"] in markdown.replace("\\", "")
        for curve in ledger["budgets"]["curves"]:
            for point in curve["points"]:
                shown = f"{curve['name']}, {point['rows']:,} rows: {score_text(point['headline'])}"
                assert f"{shown} {interval_text(point)}" in text
        for fact in ("2,000 of 9,003 rows", "out of memory", "the task has no pictures", "C = 1.0", "22.7 M"):
            assert fact in text
        assert "1e−4: failed" in " ".join(text.split()) and "failed" in markdown


def test_of_many_classes_those_with_the_widest_spread_are_shown():
    ledger, html = ledgers.large(), pages("large")["ledger.html"]
    table = re.search(r'<table class="heat classes-by many">.*?</table>', html, flags=re.DOTALL)[0]
    shown = re.findall(r'<th scope="row">(.*?)</th>', table)
    scores = zip(*ledger["classes"]["scores"].values(), strict=True)
    spread = [max(s for s in one if s is not None) - min(s for s in one if s is not None) for one in scores]
    widest = sorted(range(77), key=lambda i: -spread[i])[:20]
    assert shown == [ledger["classes"]["labels"][i] for i in widest]
    assert "Of 77 classes these are the 20 on which contenders differ most" in html
    assert "Of 3 classes" not in pages("full")["ledger.html"]


def test_many_budget_curves_get_a_plot_each():
    panel = re.compile(r'class="panels budget-line"')
    assert panel.search(pages("large")["ledger.html"]) and "plot budget" not in pages("large")["ledger.html"]
    few = ledgers.full()
    few["budgets"]["curves"] = few["budgets"]["curves"][:3]
    html = render_ledger(few)["ledger.html"]
    assert "plot budget" in html and not panel.search(html) and html.count('<polygon class="band') == 3


def test_the_front_holds_what_nothing_cheaper_reaches():
    contenders = rank(ledgers.full()["contenders"])
    drawn = ledger_plots.pareto(contenders)
    for point, c in zip(drawn["points"], contenders, strict=True):
        cheaper = [
            o for o in contenders if o is not c and o["cost"]["cpu_seconds"] <= max(c["cost"]["cpu_seconds"], 0.1)
        ]
        assert point["front"] == all(o["headline"] < c["headline"] for o in cheaper)
    heights = [y for _, y in drawn["front"]]
    assert heights == sorted(heights)


def test_the_axis_leaves_out_only_those_far_below():
    drawn = ledger_plots.forest(rank(ledgers.full()["contenders"]))
    assert [row["off"] for row in drawn["rows"]] == [False] * 6 + [True] * 2
    assert all(0 <= row[key] <= 100 for row in drawn["rows"] for key in ("low", "value", "high"))
    near = [c for c in ledgers.full()["contenders"] if c["name"] not in ("scratch", "majority", "tfidf")]
    assert not ledger_plots.forest(rank(near))["cut"]


def test_where_lower_is_better_the_front_goes_down_and_the_axis_leaves_out_those_far_above():
    contenders = rank(ledgers.lower()["contenders"], -1)
    assert [c["name"] for c in contenders][:2] == ["lp-ft", "full"] and contenders[-1]["name"] == "scratch"
    drawn = ledger_plots.pareto(contenders, -1)
    heights = [y for _, y in drawn["front"]]
    assert heights == sorted(heights, reverse=True) and drawn["points"][-1]["y"] > 90
    assert [row["off"] for row in ledger_plots.forest(contenders, -1)["rows"]] == [False] * 5 + [True]
    html = pages("lower")["ledger.html"]
    assert "right of the axis" in html and "too far above" in html and "left of the axis" not in html


def test_of_many_crossovers_those_of_the_best_are_drawn():
    ledger = ledgers.full()
    pairs = [("scratch", "majority"), *(("tfidf", name) for name in ("lora", "full", "lp-ft", "gradual", "scratch"))]
    ledger["budgets"]["crossovers"] = [
        {"a": a, "b": b, "rows": 40.0 + i, "low": None, "high": 90.0, "text": f"{a} and {b} cross"}
        for i, (a, b) in enumerate([*pairs, ("lp-ft", "scratch"), ("lp-ft", "majority")])
    ]
    drawn = ledger_plots.budgets(ledger["budgets"], rank(ledger["contenders"]))["crossovers"]
    lettered = [one for one in drawn if one["letter"]]
    assert [one["letter"] for one in lettered] == list("ABCDEF")
    assert sum("lp-ft" in (one["given"]["a"], one["given"]["b"]) for one in lettered) == 3
    assert ("scratch", "majority") not in [(one["given"]["a"], one["given"]["b"]) for one in lettered]
    rows = [one["given"]["rows"] for one in lettered]
    assert rows == sorted(rows) and all(one["low"] == 0 <= one["x"] <= one["high"] <= 100 for one in lettered)
    html = render_ledger(ledger)["ledger.html"]
    assert "2 crossovers more" in html and all(one["text"] in html for one in ledger["budgets"]["crossovers"])


def test_a_failed_run_is_dashed_and_a_crossover_without_interval_has_no_band():
    drawn, without = pages("full")["ledger.html"], pages("few")["ledger.html"]
    assert drawn.count('<polyline class="lost"') == 1 and "Dashed: a run that failed" in drawn
    assert '<polyline class="lost"' not in without and "Dashed: a run that failed" not in without
    assert drawn.count('<rect class="crossing-band"') == 1 and drawn.count('<line class="crossing"') == 2


def test_epochs_stay_whole():
    contenders = ledgers.full()["contenders"]
    for epochs, expected in ((1, "0 1"), (2, "0 1 2"), (3, "0 1 2 3"), (6, "0 2 4 6"), (10, "0 5 10")):
        for c in contenders:
            for seed in c["seeds"]:
                seed["curve"] = [{"epoch": e, "validation": e / 20} for e in range(1, epochs + 1)]
        assert " ".join(text for _, text in ledger_plots.learning(contenders)["x"]) == expected


def test_a_note_on_intervals_is_said_once():
    ledger = ledgers.full()
    for c in ledger["contenders"][:2]:
        c["interval"]["note"] = "of a single run"
    written = render_ledger(ledger)
    assert "tfidf, majority: of a single run." in written["ledger.html"]
    assert "Intervals of tfidf, majority: of a single run." in written["ledger.md"]


def test_equal_scores_and_costs_can_be_drawn():
    ledger = ledgers.full()
    for c in ledger["contenders"]:
        c.update(headline=0.5, interval={"low": 0.5, "high": 0.5, "level": 0.95, "note": "no width"})
        c["cost"].update(cpu_seconds=0.0)
        for seed in c["seeds"]:
            seed.update(curve=[{"epoch": 0, "validation": 0.5}], headline=0.5 if seed["status"] == "ok" else None)
    for curve in ledger["budgets"]["curves"]:
        curve["points"] = [{"rows": 8, "headline": 0.5, "low": 0.5, "high": 0.5, "seeds": []}]
    assert sections(render_ledger(ledger)["ledger.html"]) == list(SECTIONS)


def test_apart_keeps_the_order_the_gap_and_the_frame():
    draw = np.random.default_rng(0)
    for count in (1, 2, 8):
        values = draw.uniform(0, 100, count).tolist()
        moved = label_places.spread_out(values, 6)
        assert np.argsort(moved).tolist() == np.argsort(values).tolist()
        assert all(b - a >= 6 - 0.02 for a, b in zip(sorted(moved), sorted(moved)[1:], strict=False))
        assert 0 <= min(moved) and max(moved) <= 100
    assert label_places.spread_out([10.0, 50.0], 6) == [10.0, 50.0]


def test_numbers_in_words():
    assert [p_text(p) for p in (0.0004, 0.0316, 1.0)] == ["p < 0.001", "p = 0.032", "p = 1.000"]
    assert [large_text(n) for n in (None, 0, 999, 9_080, 22_713_986, 7_000_000_000)] == [
        "–", "0", "999", "9.08 k", "22.7 M", "7 B"
    ]  # fmt: skip
    assert [rate_text(r) for r in (2e-5, 1.5e-4, 1.0)] == ["2e−5", "1.5e−4", "1e0"]


CORRUPTIONS = {
    "ledger: wrong keys: pairs (missing)": lambda r: r.pop("pairs"),
    "ledger: wrong keys: extra (unknown)": lambda r: r.update(extra=1),
    "ledger.schema: 'hfkit.ledger/0'": lambda r: r.update(schema="hfkit.ledger/0"),
    "ledger.contenders[0].headline: nan": lambda r: r["contenders"][0].update(headline=math.nan),
    "ledger.contenders[1].kind:": lambda r: r["contenders"][1].update(kind="other"),
    "ledger.contenders[0].facts.x: inf": lambda r: r["contenders"][0].update(facts={"x": math.inf}),
    "ledger.contenders[0].interval.low: np.float64": lambda r: r["contenders"][0]["interval"].update(low=np.float64(0)),
    "ledger.contenders: 'full' is there twice": lambda r: r["contenders"][0].update(name="full"),
    "ledger.contenders[2].cost: cpu_seconds is missing": lambda r: r["contenders"][2]["cost"].pop("cpu_seconds"),
    "ledger.contenders[2].cost.wall_seconds: -1.0": lambda r: r["contenders"][2]["cost"].update(wall_seconds=-1.0),
    "ledger.contenders[0].failed:": lambda r: r["contenders"][0].update(failed=1),
    "ledger.contenders[0].difference.to: 'nobody'": lambda r: r["contenders"][0]["difference"].update(to="nobody"),
    "ledger.contenders[1].difference: the chosen": lambda r: r["contenders"][1].update(difference=None),
    "ledger.contenders[2].seeds[0].headline: a run": lambda r: r["contenders"][2]["seeds"][0].update(headline=None),
    "ledger.contenders[2].seeds[0].curve[0].epoch:": lambda r: r["contenders"][2]["seeds"][0]["curve"][0].update(
        epoch=math.nan
    ),
    "ledger.verdict.sentences[0]: wrong keys": lambda r: r["verdict"]["sentences"][0].pop("rule"),
    "ledger.budgets.curves[0]: a budget below": lambda r: r["budgets"]["curves"][0]["points"][0].update(rows=0),
    "ledger.classes.scores: 'nobody'": lambda r: r["classes"]["scores"].update(nobody=[0.0, 0.0, 0.0]),
    "ledger.classes.scores['full']: not one": lambda r: r["classes"]["scores"]["full"].pop(),
    "ledger.disagreements[0]: 'nobody'": lambda r: r["disagreements"][0].update(right="nobody"),
    "ledger.disagreements[0].picture:": lambda r: r["disagreements"][0].update(picture="https://evil.example/x.png"),
    "ledger.environment: wrong keys: gpu": lambda r: r["environment"].pop("gpu"),
    "ledger.settings.x: {1} is not a plain value": lambda r: r["settings"].update(x={1}),
}


@pytest.mark.parametrize(("message", "corrupt"), CORRUPTIONS.items(), ids=CORRUPTIONS)
def test_the_first_fault_is_named_with_its_place(message, corrupt):
    ledger = ledgers.full()
    validate_ledger(ledger)
    corrupt(ledger)
    with pytest.raises(ValueError, match=re.escape(message)):
        render_ledger(ledger)


def active(page: Page) -> list[str]:
    """What could run or fetch; an address in a text that is only shown or read out does neither."""
    return [fault for fault in faults(page) if not fault.startswith(("data-is=", "aria-label=", "title="))]


@cache
def hostile(text: str) -> dict[str, str]:
    """The files of a ledger with `text` wherever a user's, a dataset's or a library's own text can stand."""
    ledger = ledgers.make_ledger(ledgers.EIGHT[:1] + ledgers.EIGHT[6:7], ["a", "b", "c"])
    names = {"lp-ft": text, "tfidf": text + "'"}

    def renamed(value):
        if isinstance(value, str):
            return names.get(value, text)
        if isinstance(value, list):
            return [renamed(item) for item in value]
        if isinstance(value, dict):
            return {names.get(key, key): renamed(item) for key, item in value.items()}
        return value

    kept = ("schema", "created", "disagreements")
    found = {key: value if key in kept else renamed(value) for key, value in ledger.items()}
    found["task"]["scores"] = [{"key": text, "title": text, "better": "higher", "hub": text}]
    found["settings"] = {text: [text], "nested": {text: text}}
    for ours, before in zip(found["contenders"], ledger["contenders"], strict=True):
        ours |= {"kind": before["kind"], "facts": {text: text}}
        for seed, was in zip(ours["seeds"], before["seeds"], strict=True):
            seed |= {"status": was["status"], "scores": {text: 0.5, f"{text} too": 0.5}}
    found["disagreements"] = [
        {
            "row": 1,
            "shown": text,
            "picture": None,
            "gold": text,
            "right": text,
            "answers": {text: text, text + "'": text},
        }
    ]
    return render_ledger(found)


@pytest.mark.parametrize("text", TEXTS)
def test_hostile_text_stays_text(text):
    page = Page(hostile(text)["ledger.html"])
    assert active(page) == []
    assert_stays_text(page, Page(hostile("harmless")["ledger.html"]), text, least=30)


@pytest.mark.parametrize("text", TEXTS)
def test_hostile_text_stays_text_in_markdown(text):
    assert_stays_text_in_markdown(hostile(text)["ledger.md"], hostile("harmless")["ledger.md"])


@pytest.mark.parametrize("kind", ledgers.ALL)
def test_the_page_fetches_nothing(kind):
    html = pages(kind)["ledger.html"]
    assert [fault for fault in faults(Page(html)) if fault not in ("<img>", f"src={picture(8)}")] == []
    assert not re.search(r"url\s*\(|@import|@font-face|//", html.split("<style>")[1].split("</style>")[0])
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in html


# Run in a copy of the page. A label is any text of a plot; boxes are in pixels of the screen.
PROBE = """
const seen = (e) => { const b = e.getBoundingClientRect(); return b.width > 0 && b.height > 0 };
const value = (text) => text.match(/[\\d.]+/g).map(Number);
const light = (c) => c.slice(0, 3).map((v) => v / 255).map((v) => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
  .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
const against = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + .05) / (y + .05) };
const errors = [];
addEventListener("error", (e) => errors.push(String(e.message)), true);
addEventListener("securitypolicyviolation", (e) => errors.push(e.violatedDirective));
addEventListener("load", () => {
  const paper = value(getComputedStyle(document.body).backgroundColor);
  const labels = [...document.querySelectorAll(".tick, svg text, .x-title, .entry .who, .entry .value, figcaption")]
    .filter(seen).map((e) => [e, e.getBoundingClientRect()]);
  const met = [];
  for (let i = 0; i < labels.length; i++) for (let j = 0; j < i; j++) {
    const [a, b] = [labels[i][1], labels[j][1]];
    const x = Math.min(a.right, b.right) - Math.max(a.left, b.left);
    const y = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    if (x > 1 && y > 1) met.push(labels[i][0].textContent.trim() + " | " + labels[j][0].textContent.trim());
  }
  const under = (style) => {
    const [r, g, b, share = 1] = value(style.backgroundColor);
    return [r, g, b].map((v, i) => share * v + (1 - share) * paper[i]);
  };
  const faint = [...document.querySelectorAll(".tick, svg text, p, th, td, li, .what, .rule, .rank")]
    .filter(seen).map((e) => [e, getComputedStyle(e)])
    .filter(([e, style]) => against(value(e instanceof SVGElement ? style.fill : style.color), under(style))
      < (e.matches(".tag") ? 3 : 4.5)).map(([e]) => e.textContent.trim());
  parent.postMessage({
    name: window.name, width: innerWidth, scroll: document.documentElement.scrollWidth, labels: labels.length,
    met, faint,
    outside: labels.filter(([_, b]) => b.left < 0 || b.right > innerWidth).map(([e]) => e.textContent.trim()),
    wide: [...document.body.querySelectorAll("*:not(svg *)")].filter((e) => !e.parentElement.closest(".wide, .table"))
      .filter((e) => seen(e) && e.getBoundingClientRect().right > innerWidth + 1)
      .map((e) => e.className + ": " + e.textContent.trim().slice(0, 60)),
    dark: matchMedia("(prefers-color-scheme: dark)").matches, paper, errors,
  }, "*");
});
"""


def browser() -> str:
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("no Chromium on this machine: the page's looks are not checked")
    return found


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_a_browser_shows_it_without_overlaps_at_both_widths(mode, tmp_path):
    chromium = browser()
    frames = []
    for kind in ledgers.ALL:
        html = pages(kind)["ledger.html"]
        (tmp_path / f"{kind}-as-it-is.html").write_text(html)
        # The page itself allows no script: its copy must.
        probed = html.replace("default-src 'none';", "default-src 'none'; script-src 'unsafe-inline';")
        (tmp_path / f"{kind}.html").write_text(probed.replace("</head>", f"<script>{PROBE}</script></head>"))
        # A window has a least width, a frame has none.
        frames += [(f"{kind}-{width}", f"{kind}.html", width) for width in (1280, 768, 390, 320)]
        frames += [(f"{kind}-as-it-is", f"{kind}-as-it-is.html", 1280)]
    (tmp_path / "frames.html").write_text(
        "<!doctype html><meta charset=utf-8><pre id=found></pre><script>const found = [];"
        "addEventListener('message', (e) => { found.push(e.data);"
        " document.querySelector('#found').textContent = JSON.stringify(found) });</script>"
        + "".join(f'<iframe name="{n}" src="{file}" width="{w}" height="900"></iframe>' for n, file, w in frames)
    )
    run = subprocess.run(
        [chromium, "--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--no-first-run"]
        + [f"--user-data-dir={tmp_path / 'profile'}", f"--blink-settings=preferredColorScheme={int(mode == 'light')}"]
        + ["--window-size=1400,1000", "--virtual-time-budget=20000", "--dump-dom", (tmp_path / "frames.html").as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "CONSOLE" not in run.stderr, run.stderr[-2000:]
    said = re.search(r'<pre id="found">(.*?)</pre>', run.stdout, flags=re.DOTALL)[1]
    found = {
        one["name"]: one for one in json.loads(re.sub("&amp;", "&", said).replace("&lt;", "<").replace("&gt;", ">"))
    }
    assert sorted(found) == sorted(name for name, file, _ in frames if "as-it-is" not in name)
    for name, one in found.items():
        assert one["dark"] == (mode == "dark") and (sum(one["paper"]) < 200) == (mode == "dark"), name
        assert one["labels"] >= 10, name
        assert one["width"] == int(name.split("-")[1])
        assert {key: one[key] for key in ("met", "outside", "wide", "faint", "errors") if one[key]} == {}, name
        assert one["scroll"] <= one["width"], name
