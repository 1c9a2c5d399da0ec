"""Whether a card can be trusted: its metadata, every number in it against the report, its links and its code.

These may be changed by hand: words, lines without numbers, metadata that the report says nothing about, and whole
sections under new headings (see `lint_numbers`).
"""

import ast
import re
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import yaml
from huggingface_hub import ModelCard, parse_eval_result_entries
from markdown_it import MarkdownIt
from markdown_it.token import Token

from hfkit.errors import UserError, one_line
from hfkit.hub.card import ADAPTER, read_report, render_card
from hfkit.hub.lint_metadata import Metadata, disagreements, metadata_faults, read_metadata
from hfkit.hub.lint_numbers import number_faults
from hfkit.hub.metadata import benchmark_result, front_matter, model_name

UNWRITTEN = re.compile("more information (is )?needed", re.IGNORECASE)
# The snippet of a card imports nothing but IMPORTS, and never calls any of NEVER.
IMPORTS = {"transformers", "peft", "torch", "PIL"}
NEVER = {"eval", "exec", "compile", "open", "getattr", "setattr", "globals"}
SECONDS = 10  # for a link to answer
ABSENT = (404, 410)


class Findings(NamedTuple):
    """The faults, and the checks that could not be made, in words."""

    faults: list[str]
    unchecked: list[str]


def lint(folder: Path, *, online: bool = False) -> list[str]:
    """The faults of the cards in the folder of a finished run, in words.

    Args:
        online: also ask the Hub, and try every link.

    Raises:
        UserError: there is no such folder, or no README.md in it.
    """
    return examine(folder, online=online).faults


def examine(folder: Path, *, online: bool = False) -> Findings:
    """The faults of the cards in a folder, its own and that of its adapters, and the checks that could not be made.

    Raises:
        UserError: there is no such folder, or no README.md in it.
    """
    if not (folder / "README.md").is_file():
        raise UserError(f"folder '{folder}'", "a card is a file README.md", "Give the output_dir of a finished run")
    faults, unchecked = [], []
    try:
        report = read_report(folder)
    except UserError as error:
        faults.append(f"report.json: no number of the card can be checked ({error})")
        report = None
    for name in ("README.md", f"{ADAPTER}/README.md"):
        if not (folder / name).is_file():
            continue
        try:
            text = (folder / name).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            faults.append(f"{name}: it cannot be read ({error})")
            continue
        place = (folder / name).parent
        findings = examine_card(text, report, place, adapter=place != folder, online=online)
        faults += [f"{name}, {fault}" for fault in findings.faults]
        unchecked += [f"{name}, {check}" for check in findings.unchecked]
    if report:
        faults += benchmark_faults(folder, report)
    return Findings(faults, unchecked)


def lint_card(text: str, report: dict[str, Any], folder: Path | None = None, *, adapter: bool = False) -> list[str]:
    """The faults of a card's text beside its report, in words.

    Args:
        folder: of the card, for the links to files beside it; None leaves them unchecked.
        adapter: the card is that of adapters.
    """
    return examine_card(text, report, folder, adapter=adapter).faults


def examine_card(
    text: str,
    report: dict[str, Any] | None,
    folder: Path | None,
    *,
    adapter: bool = False,
    online: bool = False,
) -> Findings:
    """The faults of one card, and the checks that could not be made; without a report its numbers go unchecked."""
    metadata, body, first = read_metadata(text)
    tokens = parse_markdown(body)
    links = dict.fromkeys(links_of(tokens, first))
    name = find_model_name(metadata) or (report and model_name(report["settings"]))
    faults = metadata_faults(metadata, text)
    if report:
        # The model's name is no claim: a card stays good when its model is given another one.
        rendered = render_card(report, model=name, pictures=folder is not None, adapter=adapter)
        _, expected, _ = read_metadata(rendered)
        if metadata.values:
            faults += disagreements(metadata, front_matter(report, name, adapter=adapter))
        faults += number_faults(body, expected, report["task"]["scores"], first)
        lost = Counter(address for address, _ in links_of(parse_markdown(expected), 1))
        lost -= Counter(address for address, _ in links_of(tokens, 1))
        faults += [f"links: one to {address} is missing" for address in lost]
    faults += [
        f"line {number}: '{gap[0]}' stands where something was to be written"
        for number, line in enumerate(text.splitlines(), 1)
        if (gap := UNWRITTEN.search(line))
    ]
    faults += snippet_faults(tokens, name, first)
    faults += link_faults(links, tokens, folder)
    unchecked: list[str] = []
    if online:
        ask_hub(text, faults, unchecked)
        try_links(links, faults, unchecked)
    return Findings(faults, unchecked)


def find_model_name(metadata: Metadata) -> str | None:
    """The name that a card gives its model."""
    index = metadata.values.get("model-index")
    name = index[0].get("name") if isinstance(index, list) and index and isinstance(index[0], dict) else None
    return name if isinstance(name, str) and name else None


# Code


def snippet_faults(tokens: list[Token], name: str | None, first: int) -> list[str]:
    """Blocks of Python that do not parse; under 'Use' also those that import too much or never name the model."""
    faults, names, section, blocks = [], set(), "", 0
    for i, token in enumerate(tokens):
        if token.type == "heading_open" and token.tag == "h2":
            section = tokens[i + 1].content
        if token.type != "fence" or token.info.strip().split(" ")[0] != "python":
            continue
        line = first + token.map[0]
        try:
            tree = ast.parse(token.content)
        except (SyntaxError, ValueError) as error:
            faults.append(f"line {line}: the code is no Python ({error})")
            continue
        if section == "Use":
            blocks += 1
            faults += [f"line {line + node_line}: {risk}" for node_line, risk in find_risks(tree)]
            names |= {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    if blocks and name not in names:
        faults.append(f"section Use: its code does not load '{name}'")
    return faults


def find_risks(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Things that code for trying a model has no need of, as (line, risk)."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=aliases):
                modules = [alias.name for alias in aliases]
            case ast.ImportFrom(module=module, level=level):
                modules = ["." * level + (module or "")]
            case ast.Name(id=word) | ast.Attribute(attr=word) if word in NEVER or word.startswith("__"):
                yield node.lineno, f"the code uses {word}"
                continue
            case ast.keyword(arg="trust_remote_code"):
                yield node.value.lineno, "the code trusts remote code"
                continue
            case _:
                continue
        for module in modules:
            if module.partition(".")[0] not in IMPORTS:
                yield node.lineno, f"the code imports {module}, and a model needs {', '.join(sorted(IMPORTS))} at most"


# Links


def parse_markdown(body: str) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(body)


def links_of(tokens: list[Token], first: int) -> Iterator[tuple[str, int]]:
    """Every link and picture of a text, with the line of its paragraph."""
    for token in tokens:
        for child in token.children or []:
            address = child.attrGet("href") if child.type == "link_open" else child.attrGet("src")
            if child.type in ("link_open", "image") and address is not None:
                yield str(address), first + token.map[0]


def link_faults(links: dict[tuple[str, int], None], tokens: list[Token], folder: Path | None) -> list[str]:
    """Links that lead nowhere, as far as that shows without a network."""
    faults, headings = [], set(anchors(tokens))
    for address, line in links:
        try:
            parts = urlsplit(address)
            host = parts.hostname
        except ValueError:
            faults.append(f"line {line}: '{address}' is no address")
            continue
        if parts.scheme in ("http", "https"):
            if not host or "." not in host:
                faults.append(f"line {line}: '{address}' names no host")
        elif parts.scheme not in ("", "mailto"):
            faults.append(f"line {line}: a link of the kind {parts.scheme}: has no place in a card")
        elif not parts.scheme and not parts.path and not parts.netloc:
            if parts.fragment not in headings:
                faults.append(f"line {line}: no heading is called '#{parts.fragment}'")
        elif not parts.scheme and folder is not None and not is_inside(folder, unquote(parts.path), bool(parts.netloc)):
            faults.append(f"line {line}: there is no file '{address}' beside the card")
    return faults


def is_inside(folder: Path, path: str, elsewhere: bool) -> bool:
    """Whether a relative link leads to something in the folder."""
    place = (folder / path).resolve()
    return not elsewhere and place.is_relative_to(folder.resolve()) and place.exists()


def anchors(tokens: list[Token]) -> Iterator[str]:
    """The names that links have for the headings of a text."""
    for opening, inline in zip(tokens, tokens[1:], strict=False):
        if opening.type == "heading_open":
            yield re.sub(r"[^\w\- ]", "", inline.content.lower()).replace(" ", "-")


def try_links(links: dict[tuple[str, int], None], faults: list[str], unchecked: list[str]) -> None:
    """Send a HEAD request to every linked page."""
    for address, line in links:
        if urlsplit(address).scheme not in ("http", "https"):
            continue
        try:
            with urllib.request.urlopen(urllib.request.Request(address, method="HEAD"), timeout=SECONDS):
                pass
        except urllib.error.HTTPError as error:
            kind = faults if error.code in ABSENT else unchecked
            kind.append(f"line {line}: {address} answers {error.code}")
        except (OSError, ValueError) as error:
            unchecked.append(f"line {line}: {address} could not be reached ({error})")


# The Hub


def ask_hub(text: str, faults: list[str], unchecked: list[str]) -> None:
    """Run the Hub's own validation, which it also runs before an upload."""
    try:
        ModelCard(text, ignore_metadata_errors=True).validate()
    except ValueError as error:
        faults.append(f"metadata: the Hub refuses it ({one_line(error)})")
    except Exception as error:  # whatever the network raises: that the Hub was not asked is no fault of the card
        unchecked.append(f"the Hub's own validation ({one_line(error)})")


def benchmark_faults(folder: Path, report: dict[str, Any]) -> list[str]:
    """Results for leaderboards that the Hub's client cannot read, or that differ from the report."""
    faults, expected = [], benchmark_result(report)
    for file in sorted((folder / ".eval_results").glob("*.yaml")):
        name = f".eval_results/{file.name}"
        try:
            entries = yaml.safe_load(file.read_text(encoding="utf-8"))
            values = [entry.value for entry in parse_eval_result_entries(entries)]
        except (OSError, ValueError, TypeError, KeyError, AttributeError, yaml.YAMLError) as error:
            faults.append(f"{name}: the Hub's client cannot read it ({one_line(error)})")
            continue
        if not expected or file.name != expected[0]:
            faults.append(f"{name}: the report names no such benchmark")
        elif values != [expected[1][0]["value"]]:
            faults.append(f"{name}: {', '.join(map(str, values))}, the report has {expected[1][0]['value']}")
    return faults
