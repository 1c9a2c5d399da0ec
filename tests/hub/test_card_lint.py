"""A card that claims anything its report does not say has a fault, and one that was only reworded has none."""

import json
import re
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from hfkit.errors import UserError
from hfkit.hub.card import write_card
from hfkit.hub.lint import examine, lint, lint_card
from hfkit.hub.lint_numbers import NUMBER, value_of
from hfkit.report.schema import validate
from tests.fixtures.commands import hfkit
from tests.fixtures.examples import examples_of
from tests.fixtures.reports import Tags, made

ROOT = Path(__file__).parents[2]
CARDS = sorted(path for path in (ROOT / "model_cards").glob("*.md") if path.stem != "template")
RUNS = ("bert-ner", "bert-sentiment", "vit-images")


def report_of(card: Path) -> dict:
    return json.loads((ROOT / "benchmarks" / "results" / f"report_{card.stem}.json").read_text("utf-8"))


NER = next(path for path in CARDS if path.stem == "bert-ner")
TEXT, REPORT = NER.read_text("utf-8"), report_of(NER)


def changed(old: str, new: str, count: int = 1) -> str:
    assert old in TEXT
    return TEXT.replace(old, new, count)


def line_of(text: str, part: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), 1) if part in line)


@pytest.mark.parametrize("card", CARDS, ids=lambda path: path.stem)
def test_every_committed_card_is_good(card):
    validate(report_of(card))
    assert lint_card(card.read_text("utf-8"), report_of(card)) == []


@pytest.mark.parametrize("name", RUNS)
def test_the_card_of_a_finished_run_is_good(name, finished_once):
    assert lint(finished_once / "runs" / name) == []


@pytest.mark.slow
def test_hardly_a_digit_can_be_changed_unseen():
    """Every fourth number of a card, its last digit changed: the fault names the line, and what stands there now."""
    for found in list(NUMBER.finditer(TEXT))[::4]:
        digit = "7" if found[0][-1] == "8" else "8"
        tampered = TEXT[: found.end() - 1] + digit + TEXT[found.end() :]
        line = tampered[: found.start()].count("\n") + 1
        start = tampered.splitlines()[line - 1].strip()
        if start.startswith("value: ") and float(start[7:]) == float(TEXT.splitlines()[line - 1].strip()[7:]):
            continue  # one digit too many for a float
        faults = lint_card(tampered, REPORT)
        assert any(fault.startswith((f"line {line} ", "section Use")) for fault in faults), (line, faults)


OWN, PROBE = REPORT["contenders"][0], next(c for c in REPORT["contenders"] if c["name"] == "linear probe")
PRODUCT = REPORT["breakdown"]["per_class"]["product"]
F1, LOW, REACHED = f"{OWN['headline']:.3f}", f"{OWN['interval']['low']:.3f}", f"{PROBE['headline']:.3f}"
AHEAD, OF_PRODUCT = f"{-PROBE['difference']['difference']:.3f}", f"{PRODUCT['f1']:.3f}"
SECONDS, COST = (f"{REPORT['training']['cost'][name]:,.0f}" for name in ("wall_seconds", "cpu_seconds"))
COMMIT = REPORT["environment"]["commit"]
DIGITS = re.search(r"\d\d+", COMMIT)


def spoilt(before: str, number: str, after: str = "") -> tuple[str, str, str, str]:
    """A passage of the card, the same with another number, what stands there now, and what the report has."""
    place = number.find(".") + 1  # a digit that shows, however many are shown
    other = number[:place] + ("7" if number[place] == "8" else "8") + number[place + 1 :]
    return f"{before}{number}{after}", f"{before}{other}{after}", other[:7], number[:7]


TAMPERED = {
    "front matter": spoilt("value: ", repr(OWN["headline"])),
    "summary": spoilt("It reaches F1 ", F1, " (95"),
    "interval": spoilt("[", LOW, f", {OWN['interval']['high']:.3f}]) on"),
    "level": ("(95 % interval", "(99 % interval", "99", "95"),
    "rows": ("on 1,287 test rows;", "on 12,870 test rows;", "12,870", "1,287"),
    "baseline in the summary": spoilt("linear probe, reaches ", REACHED),
    "verdict": spoilt("is ", AHEAD, " "),
    "results": spoilt("| linear probe (baseline) | ", REACHED),
    "cost": spoilt("| ", COST, " |"),
    "other scores": spoilt("recall ", f"{OWN['scores']['recall']:.3f}"),
    "class": spoilt("| product | ", OF_PRODUCT),
    "support": (f"| {PRODUCT['recall']:.3f} | 127 |", f"| {PRODUCT['recall']:.3f} | 1,270 |", "1,270", "127"),
    "limits": spoilt("(F1 ", OF_PRODUCT, " on 127"),
    "counts": ("| rows | 3,394", "| rows | 33,940", "33,940", "3,394"),
    "plan": ("| 15.7 % |", "| 95.7 % |", "95.7", "15.7"),
    "rate": ("9.5e-05 to", "9.5e-04 to", "9.5e-04", "9.5e-05"),
    "setting": ("| seed | 42 |", "| seed | 43 |", "43", "42"),
    "command": ("--num_train_epochs 3", "--num_train_epochs 30", "30", "3"),
    "wall time": spoilt("took ", SECONDS, " seconds"),
    "version": spoilt("torch ", REPORT["environment"]["versions"]["torch"].rpartition(".")[0]),
    "commit": spoilt(f"commit {COMMIT[: DIGITS.start()]}", DIGITS[0]),
    "heading": ("## Results", "## Results of 3 seeds", "of 3 seeds", ""),
}


@pytest.mark.parametrize("tampered", TAMPERED.values(), ids=TAMPERED)
def test_a_tampered_number_is_named_with_its_place_and_both_values(tampered):
    old, new, said, meant = tampered
    text = changed(old, new)
    faults = lint_card(text, REPORT)
    assert faults
    if meant:
        (fault,) = faults
        assert fault.startswith(f"line {line_of(text, new)} (") and said in fault and meant in fault


REFUSED = {
    "a score in a section of one's own": (TEXT + "\n## News\n\nNow with F1 0.99.\n", "0.99 beside the name of a score"),
    "a score under a heading that exists": (TEXT + "\n## Results\n\nIn fact 0.99.\n", "0.99 does not stand there"),
    "a number in a sentence that was added": (changed("## Use\n", "## Use\n\nUsed by 900 people.\n"), "900"),
    "a row lost": (re.sub(r"\| linear probe \(baseline\).*\n", "", TEXT), f"{REACHED} is missing"),
    "a row under another name": (changed("| lexicon (baseline)", "| a large model"), "no such row"),
    "nan for a number": (changed(f"| product | {OF_PRODUCT}", "| product | nan"), f"{OF_PRODUCT} is missing"),
    "no sign any more": (changed("1.0e-03 to", "1.0e03 to"), "1.0e03"),
    "nan in the metadata": (changed(f"value: {OWN['headline']!r}", "value: .nan"), "nan is no number"),
    "a word for a number": (
        changed(f"value: {OWN['headline']!r}", "value: high"),
        f"high, the report has {repr(OWN['headline'])[:9]}",
    ),
    "an object in the metadata": (
        changed(f"value: {OWN['headline']!r}", "value: !!python/object/apply:os.getcwd []"),
        "no plain YAML",
    ),
    "an alias in the metadata": (changed("- hfkit", "- &a hfkit\n- *a"), "without aliases"),
    "a key twice": (changed("metrics:\n", "license: mit\nlicense: apache-2.0\nmetrics:\n"), "set twice"),
    "no metadata": (TEXT.split("---\n", 2)[2], "begins with metadata"),
    "no pipeline tag": (changed("pipeline_tag: token-classification\n", ""), "(pipeline_tag): it is missing"),
    "another task": (changed("pipeline_tag: token", "pipeline_tag: text"), "text-classification, the report has"),
    "a task that is none": (changed("pipeline_tag: token-classification", "pipeline_tag: ner"), "'ner': no task"),
    "another library": (changed("library_name: transformers", "library_name: spacy"), "'spacy'"),
    "another base": (changed("base_model: sentence", "base_model: somebody"), "somebody-transformers/"),
    "another relation": (changed("relation: finetune", "relation: trained"), "a relation is one of"),
    "a licence that is none": (changed("license: apache-2.0", "license: Apache 2"), "no licence that the Hub knows"),
    "a language that is none": (changed("tags:\n", "language: English\ntags:\n"), "'English' is no code"),
    "a misspelt key": (changed("tags:\n", "licence: mit\ntags:\n"), "did you mean license?"),
    "a list of other things": (changed("- hfkit", "- 7"), "is not a list of text"),
    "scores in another shape": (
        re.sub(r"model-index:\n(.|\n)*?\n---", "model-index: soon\n---", TEXT),
        "client cannot read it",
    ),
    "a section to be written": (TEXT + "\n## Bias\n\n[More Information Needed]\n", "was to be written"),
    "a link to nowhere": (TEXT + "\nSee [there](https://).\n", "names no host"),
    "a picture in the text": (TEXT + "\n![there](data:image/png;base64,AAAA)\n", "of the kind data:"),
    "a link to another base": (
        changed("co/sentence-transformers/all-MiniLM-L6", "co/a/MiniLM-L12"),
        "all-MiniLM-L6-v2 is missing",
    ),
    "an anchor to nowhere": (TEXT + "\nSee [there](#bias).\n", "no heading is called '#bias'"),
    "code that is none": (changed("from transformers import pipeline", "from transformers"), "no Python"),
    "code that imports more": (changed("from transformers import pipeline", "import os\nimport sys"), "imports os"),
    "code that runs text": (changed("print(tagger(", "eval(str(tagger("), "no Python"),
    "code that is sly": (changed("print(tagger(", "(__import__)(tagger("), "uses __import__"),
    "code of another model": (changed('model="bert-ner-wnut17"', 'model="somebody/else"'), "does not load"),
    "code that trusts": (
        changed('model="bert-ner-wnut17"', 'model="bert-ner-wnut17", trust_remote_code=True'),
        "trusts",
    ),
}


@pytest.mark.parametrize("refused", REFUSED.values(), ids=REFUSED)
def test_what_a_card_must_not_be(refused):
    text, fragment = refused
    assert any(fragment in fault for fault in lint_card(text, REPORT)), lint_card(text, REPORT)


ALLOWED = {
    "other words": changed("All on the same 1,287 test rows, by the same score;", "On 1,287 rows, which all saw;"),
    "a sentence more": changed("## Limits\n", "## Limits\n\nDo not decide about people with it.\n"),
    "a section of one's own": TEXT + "\n## News\n\nSince 2027-01-05 in use at 3 sites, see [above](#use).\n",
    "a link more": changed("## Limits\n", "## Limits\n\nSee [this](https://arxiv.org/abs/2101.08515).\n"),
    "a score of the report in it": TEXT + f"\n## News\n\nAn F1 of {F1} is not enough for us.\n",
    "code in it": TEXT + "\n## News\n\n```python\nimport pandas\n# F1 as a heading\n```\n",
    "another licence": changed("license: apache-2.0", "license: cc-by-4.0"),
    "more metadata": changed("tags:\n", "language:\n- en\nnew_version: somebody/better\ntags:\n- ner\n"),
    "another name": re.sub("(?<!runs/)bert-ner-wnut17", "somebody/tagger", TEXT),
    "wider tables": re.sub(r"^\|(.*)\|$", lambda row: "|" + row[1].replace("|", "   |  ") + "|", TEXT, flags=re.M),
}


@pytest.mark.parametrize("text", ALLOWED.values(), ids=ALLOWED)
def test_what_may_be_changed_by_hand(text):
    assert text != TEXT and lint_card(text, REPORT) == []


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("1,287 rows, −0.025 and -3", ["1,287", "−0.025", "-3"]),
        ("[0.435, 0.500]", ["0.435", "0.500"]),
        ("7.4e-05 to 1.0E+3", ["7.4e-05", "1.0E+3"]),
        ("all-MiniLM-L6-v2", ["6", "2"]),
        ("2026-11-21", ["2026", "11", "21"]),
        ("12, 13, 1,2", ["12", "13", "1", "2"]),
    ],
)
def test_what_a_number_is(text, numbers):
    assert NUMBER.findall(text) == numbers


def test_one_number_may_be_written_in_several_ways():
    assert value_of("1,287") == value_of("1287")
    assert value_of("\N{MINUS SIGN}0.5") == value_of("-0.50") != value_of("0.5")


def test_files_that_a_card_links_to_lie_beside_it(finished_runs):
    run = finished_runs / "runs" / "vit-images"
    (run / "examples" / "3.png").unlink()
    (fault,) = lint(run)
    line = line_of((run / "README.md").read_text(), "examples/3.png")
    assert fault == f"README.md, line {line}: there is no file 'examples/3.png' beside the card"
    write_card(run)
    with (run / "README.md").open("a") as card:
        card.write("\n[up](../bert-ner/README.md) [here](report.html) [away](//somewhere/x)\n")
    assert [fault.split("'")[1] for fault in lint(run)] == ["../bert-ner/README.md", "//somewhere/x"]


def test_a_card_without_its_report_is_not_called_good(finished_runs):
    run = finished_runs / "runs" / "bert-ner"
    (run / "report.json").write_text("{}")
    assert [fault for fault in lint(run) if fault.startswith("report.json: no number of the card can be checked")]
    (run / "README.md").unlink()
    with pytest.raises(UserError, match="a card is a file README.md"):
        lint(run)


def test_a_result_for_a_leaderboard_is_the_reports(tmp_path):
    settings = {"checkpoint": "sample", "output_dir": "runs/x", "benchmark": "somebody/bench:task"}
    made(Tags(), settings=settings).save(tmp_path)
    write_card(tmp_path)
    file = tmp_path / ".eval_results" / "bench.yaml"
    assert lint(tmp_path) == []
    score = json.loads((tmp_path / "report.json").read_text())["contenders"][0]["headline"]
    file.write_text(file.read_text().replace(f"value: {score}", "value: 0.99"))
    assert lint(tmp_path) == [f".eval_results/bench.yaml: 0.99, the report has {score}"]
    file.write_text("- value: 1")
    assert "client cannot read it" in lint(tmp_path)[0]


class Page(BaseHTTPRequestHandler):
    def do_HEAD(self):
        self.send_response(int(self.path.strip("/")))
        self.end_headers()

    def log_message(self, *args):
        pass


def test_online_links_are_tried_and_what_cannot_be_asked_is_said(finished_runs):
    run = finished_runs / "runs" / "bert-sentiment"
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        home = f"http://127.0.0.1:{server.server_port}"
        with (run / "README.md").open("a") as card:
            card.write(f"\n## Links\n\n[a]({home}/200) [b]({home}/404) [c]({home}/403) [d](http://127.0.0.1:9/x)\n")
        found = examine(run, online=True)
        server.shutdown()
    assert [fault.rpartition("/")[2] for fault in found.faults] == ["404 answers 404"]
    hub, forbidden, closed = found.unchecked  # the Hub itself cannot be asked: HF_HUB_OFFLINE is set
    assert "the Hub's own validation" in hub and "403" in forbidden and "127.0.0.1:9/x could not be reached" in closed


def test_the_command_says_one_fault_a_line_and_ends_with_its_exit_code(finished_runs):
    ended = hfkit("card", "lint", "runs/bert-sentiment")
    assert (ended.exit_code, ended.stdout) == (0, "")
    card = Path("runs/bert-sentiment/README.md")
    text = card.read_text()
    card.write_text(text.replace("on 24 test rows;", "on 25 test rows;").replace("| seed | 42", "| seed | 1"))
    ended = hfkit("card", "lint", "runs/bert-sentiment")
    assert ended.exit_code == 1 and len(ended.stdout.splitlines()) == 2
    assert re.match(r"README.md, line \d+ \(summary\): 25, the report has 24\n", ended.stdout)
    listed = hfkit("card", "lint", "runs/bert-sentiment", "--json")
    assert listed.exit_code == 1
    assert json.loads(listed.stdout) == {"faults": ended.stdout.splitlines(), "unchecked": []}
    assert hfkit("card", "write", "runs/bert-sentiment").stdout == f"{card}\n" and card.read_text() == text
    assert hfkit("card", "write", "runs/bert-sentiment", "--model", "somebody/reviews").exit_code == 0
    assert card.read_text() == text.replace("bert-sentiment", "somebody/reviews").replace(
        *("runs/somebody/reviews", "runs/bert-sentiment")
    ).replace("recipes/somebody/reviews", "recipes/bert-sentiment")
    assert hfkit("card", "lint", "runs/bert-sentiment").exit_code == 0


def test_an_evaluation_gets_no_card(tmp_path, finished_once):
    shutil.copy(finished_once / "runs/bert-sentiment/report.json", tmp_path)
    ended = hfkit("card", "write", str(tmp_path))
    assert ended.exit_code == 2 and "its report is of an evaluation: no model lies beside it" in ended.stderr
    assert not (tmp_path / "README.md").exists()


@pytest.mark.parametrize("command", ["write", "lint"])
def test_a_folder_without_a_run_is_bad_input(command, tmp_path):
    for folder in (tmp_path, tmp_path / "none"):
        ended = hfkit("card", command, str(folder))
        assert ended.exit_code == 2 and ended.stderr.startswith("error: folder") and not ended.stdout


@pytest.mark.parametrize("argv", [*examples_of("card write"), *examples_of("card lint")], ids=" ".join)
def test_the_examples_of_the_help_run(argv, finished_runs):
    assert hfkit(*argv).exit_code == 0


def test_a_copy_of_a_run_is_as_good(finished_once, tmp_path):
    place = shutil.copytree(finished_once / "runs" / "bert-ner", tmp_path / "elsewhere")
    assert lint(place) == []
