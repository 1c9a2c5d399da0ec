"""What mkdocs puts into the pages while it builds them, so that no figure, flag or command is typed.

    <!-- results:NAME:begin --> <!-- results:NAME:end -->   a table of benchmarks/results, as README has it
    <!-- strategies:begin --> …                             the strategies, likewise; and families
    <!-- flags: module:Class -->                            the flags of a dataclass of arguments
    <!-- baselines -->                                      every baseline by its name
    <!-- sharded -->                                        the families that are proven to train in parts
    <!-- commands -->                                       every command of hfkit with its flags and examples
    <!-- docstring: module -->                              what a module says of itself
    <!-- file: PATH -->                                     a file of the repository

Ledgers of benchmarks/results and a report become pages of the site.
"""

import dataclasses
import importlib
import inspect
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # of benchmarks

from benchmarks.render import RESULTS, render  # noqa: E402
from hfkit import RecipeArguments  # noqa: E402
from hfkit.baselines import BASELINES  # noqa: E402
from hfkit.cli import app  # noqa: E402
from hfkit.model.families import FAMILIES  # noqa: E402
from hfkit.report.pages import markdown_text, render_page  # noqa: E402
from hfkit.training.refusals import SHARDED  # noqa: E402

MARK = re.compile(r"<!-- (?P<kind>flags|baselines|sharded|commands|docstring|file)(?:: (?P<what>[\w./:-]+))? -->")
LANGUAGES = {".yaml": "yaml", ".py": "python"}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    # mkdocs forgets what this file added to the path once it is read, and tables are imported when they are asked for.
    sys.path.insert(0, str(ROOT))
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for path in sorted((RESULTS / "ledgers").glob("*")):
        if path.suffix in (".md", ".html"):
            place = path.relative_to(ROOT).as_posix()
            place = place.replace(".html", "-page.html")  # a page and its Markdown would be one address
            files.append(File.generated(config, place, content=path.read_text(encoding="utf-8")))
    report = json.loads((RESULTS / "report_bert-ner.json").read_text(encoding="utf-8"))
    files.append(File.generated(config, "examples/report.html", content=render_page("report.html.j2", report)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    return MARK.sub(lambda found: WRITERS[found["kind"]](found["what"]), render(markdown, RESULTS))


def flags(what: str) -> str:
    module, _, name = what.partition(":")
    kind = getattr(importlib.import_module(module), name)
    own = [field for field in dataclasses.fields(kind) if field.name in kind.__annotations__ and field.init]
    rows = [f"| `--{field.name}` | {shown(field)} | {cell(field.metadata.get('help', ''))} |" for field in own]
    return "\n".join(["| flag | default | what it does |", "|---|---|---|", *rows])


def shown(field: dataclasses.Field) -> str:
    value = field.default
    if value is dataclasses.MISSING:
        value = field.default_factory() if field.default_factory is not dataclasses.MISSING else None
    if value in (None, [], ()):
        return ""
    if isinstance(value, list | tuple):
        return f"`{' '.join(map(str, value))}`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def baselines(_: None) -> str:
    recipe = RecipeArguments(nli_checkpoint="some", clip_checkpoint="some", prompt_checkpoint="some")
    rows = [f"| `{name}` | {cell(make(recipe).description)} |" for name, make in BASELINES.items()]
    return "\n".join(["| `--baseline` | what it is |", "|---|---|", *rows])


def sharded(_: None) -> str:
    return ", ".join(family.name for family in FAMILIES if family.model_type in SHARDED)


def commands(_: None) -> str:
    return "\n\n".join(described(path, command) for path, command in all_commands(typer.main.get_command(app)))


def all_commands(group: Any, path: str = "hfkit") -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from all_commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def described(path: str, command: Any) -> str:
    """One command: its docstring, whose indented lines are examples, and a table of its arguments and flags."""
    paragraphs = []
    for block in inspect.cleandoc(command.help or "").replace("\b\n", "").split("\n\n"):
        lines = [line.strip() for line in block.splitlines()]
        of_shell = all(line.startswith("hfkit ") for line in lines)
        paragraphs.append("```bash\n" + "\n".join(lines) + "\n```" if of_shell else prose(" ".join(lines)))
    rows = [
        f"| `{'`, `'.join([*parameter.opts, *parameter.secondary_opts])}` | {cell(parameter.help or '')} |"
        if parameter.param_type_name == "option"
        else f"| {parameter.name.upper()} | {cell(parameter.help or '')} |"
        for parameter in command.params
        if parameter.name != "help"
    ]
    table = ["| argument or flag | what it is |\n|---|---|\n" + "\n".join(rows)] * bool(rows)
    return "\n\n".join([f"## {path}", *paragraphs, *table])


def docstring(module: str) -> str:
    """The first lines as prose, indented ones as they stand."""
    text = inspect.cleandoc(importlib.import_module(module).__doc__)
    return "\n\n".join(
        "```text\n" + inspect.cleandoc(block) + "\n```" if block.startswith("    ") else prose(block)
        for block in text.split("\n\n")
    )


def file(path: str) -> str:
    text = (ROOT / path).read_text(encoding="utf-8")
    return f'```{LANGUAGES[Path(path).suffix]} title="{path}"\n{text}```'


def prose(text: str) -> str:
    """Plain text as Markdown: flags become code, and nothing a list, emphasis or HTML."""
    parts = re.split(r"(`[^`]*`)", text)
    plain = [
        re.sub(r"(?<!\w)(--\w[\w-]*)", r"`\1`", part.replace("<", "&lt;").replace("*", r"\*")) for part in parts[::2]
    ]
    return "".join(part for pair in zip(plain, [*parts[1::2], ""], strict=True) for part in pair)


def cell(text: str) -> str:
    return markdown_text(" ".join(text.split()))


WRITERS: dict[str, Callable[[str], str]] = {
    "flags": flags,
    "baselines": baselines,
    "sharded": sharded,
    "commands": commands,
    "docstring": docstring,
    "file": file,
}
