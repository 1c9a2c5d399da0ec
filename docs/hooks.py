"""Fills in figures, flags and commands while mkdocs builds the pages, so that none of them is typed by hand.

    <!-- results:NAME:begin --> <!-- results:NAME:end -->   a table of benchmarks/results, as README has it
    <!-- strategies:begin --> …                             the strategies, likewise; and families
    <!-- flags: module:Class -->                            the flags of a dataclass of arguments
    <!-- formats -->                                        every kind of file, and the tasks that read it
    <!-- exports -->                                        every export of a label tool
    <!-- refused -->                                        every kind of file that is refused
    <!-- baselines -->                                      every baseline by name
    <!-- tasks -->                                          every task by its key
    <!-- sharded -->                                        the families that are tested under FSDP2
    <!-- commands -->                                       every command of hfkit with its flags and examples
    <!-- docstring: module -->                              the docstring of a module
    <!-- file: PATH -->                                     a file of the repository
    <!-- part: module:Name -->                              the source of a class, method or function

The ledgers in benchmarks/results and one report become pages of the site.
"""

import dataclasses
import importlib
import inspect
import json
import re
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from operator import attrgetter
from pathlib import Path
from typing import Any

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # for benchmarks

from benchmarks.render import RESULTS, render  # noqa: E402
from hfkit import RecipeArguments  # noqa: E402
from hfkit.arguments.ranges import ranges_of  # noqa: E402
from hfkit.baselines import BASELINES  # noqa: E402
from hfkit.cli import app  # noqa: E402
from hfkit.data.exports import EXPORTS  # noqa: E402
from hfkit.data.files import BUILDERS, TABLES, TEXT_TABLES  # noqa: E402
from hfkit.data.refused import REFUSED  # noqa: E402
from hfkit.model.families import FAMILIES  # noqa: E402
from hfkit.report.pages import markdown_text, render_page  # noqa: E402
from hfkit.tasks import TASKS  # noqa: E402
from hfkit.training.refusals import SHARDED  # noqa: E402

KINDS = "flags|formats|exports|refused|baselines|tasks|sharded|commands|docstring|file|part"
MARK = re.compile(rf"<!-- (?P<kind>{KINDS})(?:: (?P<what>[\w./:-]+))? -->")
LANGUAGES = {".yaml": "yaml", ".py": "python"}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    # mkdocs undoes what this file added to the path once it is read, and tables are imported later, with their page.
    sys.path.insert(0, str(ROOT))
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for path in sorted((RESULTS / "ledgers").glob("*")):
        if path.suffix in (".md", ".html"):
            place = path.relative_to(ROOT).as_posix()
            place = place.replace(".html", "-page.html")  # otherwise a page and its Markdown would share an address
            files.append(File.generated(config, place, content=path.read_text(encoding="utf-8")))
    report = json.loads((RESULTS / "report_bert-ner.json").read_text(encoding="utf-8"))
    files.append(File.generated(config, "examples/report.html", content=render_page("report.html.j2", report)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    return MARK.sub(fill, render(markdown, RESULTS))


def fill(mark: re.Match[str]) -> str:
    return WRITERS[mark["kind"]](mark["what"])


def find(what: str) -> Any:
    """The object that `module:Name` or `module:Name.attribute` means."""
    module, _, names = what.partition(":")
    return attrgetter(names)(importlib.import_module(module))


def list_flags(what: str) -> str:
    kind = find(what)
    ranges = ranges_of(kind)
    own = [field for field in dataclasses.fields(kind) if field.name in kind.__annotations__ and field.init]
    rows = [
        f"| `--{field.name}` | {format_default(field)} | {format_cell(with_range(field, ranges))} |" for field in own
    ]
    return "\n".join(["| flag | default | what it does |", "|---|---|---|", *rows])


def with_range(field: dataclasses.Field, ranges: Mapping[str, Any]) -> str:
    """The help of a flag, and which numbers it takes."""
    text = field.metadata.get("help", "")
    return f"{text} [{ranges[field.name]}]" if field.name in ranges else text


def format_default(field: dataclasses.Field) -> str:
    value = field.default
    if value is dataclasses.MISSING:
        value = field.default_factory() if field.default_factory is not dataclasses.MISSING else None
    if value in (None, [], ()):
        return ""
    if isinstance(value, list | tuple):
        return f"`{' '.join(map(str, value))}`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def list_formats(_: None) -> str:
    of_tasks = (TEXT_TABLES, BUILDERS, TABLES)
    suffixes = dict.fromkeys(suffix for kinds in of_tasks for suffix in kinds)
    rows = [
        f"| `{suffix}` | " + " | ".join(kinds.get(suffix, "no") for kinds in of_tasks) + " |" for suffix in suffixes
    ]
    heading = ["| file | texts, read as | words with tags, read as | images, read as |", "|---|---|---|---|"]
    return "\n".join([*heading, *rows])


def list_exports(_: None) -> str:
    rows = [
        f"| {format_cell(export.title)} | {format_cell(export.tried)} | {format_cell(export.left_out)} |"
        for export in EXPORTS
    ]
    return "\n".join(["| export | read by | not read, and told with its count |", "|---|---|---|", *rows])


def list_refused(_: None) -> str:
    rows = [
        f"| {', '.join(f'`{suffix}`' for suffix in one.suffixes)} | {format_cell(one.why)} | {format_cell(one.fix)} |"
        for one in REFUSED
    ]
    return "\n".join(["| file | why | the way out |", "|---|---|---|", *rows])


def list_baselines(_: None) -> str:
    recipe = RecipeArguments(nli_checkpoint="some", clip_checkpoint="some", prompt_checkpoint="some")
    rows = [f"| `{name}` | {format_cell(make(recipe).description)} |" for name, make in BASELINES.items()]
    return "\n".join(["| `--baseline` | what it is |", "|---|---|", *rows])


def list_tasks(_: None) -> str:
    rows = [
        f"| `{task.key}` | {format_cell(inspect.getdoc(task).partition('.')[0])} | `{task.tag}`"
        f" | `{task.auto_model.__name__}` | {format_cell(task().judge.headline.title)} |"
        for task in TASKS
    ]
    return "\n".join(
        ["| key | rows and answers | tag on the Hub | model | headline score |", "|---|---|---|---|---|", *rows]
    )


def list_sharded(_: None) -> str:
    return ", ".join(family.name for family in FAMILIES if family.model_type in SHARDED)


def list_commands(_: None) -> str:
    return "\n\n".join(describe_command(path, command) for path, command in walk_commands(typer.main.get_command(app)))


def walk_commands(group: Any, path: str = "hfkit") -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from walk_commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def describe_command(path: str, command: Any) -> str:
    """One command: its docstring, whose indented lines are examples, and a table of its arguments and flags."""
    parts = [f"## {path}"]
    for block in inspect.cleandoc(command.help or "").replace("\b\n", "").split("\n\n"):
        lines = [line.strip() for line in block.splitlines()]
        is_shell = all(line.startswith("hfkit ") for line in lines)
        parts.append("```bash\n" + "\n".join(lines) + "\n```" if is_shell else format_prose(" ".join(lines)))
    rows = [
        f"| `{'`, `'.join([*parameter.opts, *parameter.secondary_opts])}` | {format_cell(parameter.help or '')} |"
        if parameter.param_type_name == "option"
        else f"| {parameter.name.upper()} | {format_cell(parameter.help or '')} |"
        for parameter in command.params
        if parameter.name != "help"
    ]
    if rows:
        parts.append("| argument or flag | what it is |\n|---|---|\n" + "\n".join(rows))
    return "\n\n".join(parts)


def quote_docstring(module: str) -> str:
    """A module's docstring: paragraphs as prose, indented blocks as they stand."""
    text = inspect.cleandoc(importlib.import_module(module).__doc__)
    return "\n\n".join(
        "```text\n" + inspect.cleandoc(block) + "\n```" if block.startswith("    ") else format_prose(block)
        for block in text.split("\n\n")
    )


def quote_file(path: str) -> str:
    text = (ROOT / path).read_text(encoding="utf-8")
    return f'```{LANGUAGES[Path(path).suffix]} title="{path}"\n{text}```'


def quote_part(what: str) -> str:
    part = find(what)
    path = Path(inspect.getsourcefile(part)).relative_to(ROOT).as_posix()
    return f'```python title="{path}"\n{textwrap.dedent(inspect.getsource(part))}```'


def format_prose(text: str) -> str:
    """Plain text as Markdown: flags become code, and nothing becomes a list, emphasis or HTML."""
    parts = re.split(r"(`[^`]*`)", text)
    plain = [
        re.sub(r"(?<!\w)(--\w[\w-]*)", r"`\1`", part.replace("<", "&lt;").replace("*", r"\*")) for part in parts[::2]
    ]
    return "".join(part for pair in zip(plain, [*parts[1::2], ""], strict=True) for part in pair)


def format_cell(text: str) -> str:
    return markdown_text(" ".join(text.split()))


WRITERS: dict[str, Callable[[str], str]] = {
    "flags": list_flags,
    "formats": list_formats,
    "exports": list_exports,
    "refused": list_refused,
    "baselines": list_baselines,
    "tasks": list_tasks,
    "sharded": list_sharded,
    "commands": list_commands,
    "docstring": quote_docstring,
    "file": quote_file,
    "part": quote_part,
}
