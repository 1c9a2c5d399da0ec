"""House rules that nobody holds in the head: five floors and who may import whom, names, and nothing unsafe."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "hfkit").rglob("*.py"))
RECIPES = sorted((ROOT / "recipes").glob("*.py"))

# Rooms from the ground up, and on each floor from left to right. A module imports its own room, what lies below, and
# what stands to its left on the same floor.
FLOORS = {
    "ground": ("version", "errors", "progress", "runtime", "samples", "scores"),
    "parts": ("arguments", "data", "model"),
    "contract": ("contract", "prefix"),
    "runs": ("tasks", "baselines", "report", "hub", "inference", "training"),
    "doors": ("doctor", "selection", "adaptation", "audits", "ledger", "cli"),
}
APART = "parts"  # the rooms of this floor do not know each other
PLACES = {room: (floor, side) for floor, rooms in enumerate(FLOORS.values()) for side, room in enumerate(rooms)}
# Who finds the task that a command or a saved model names; all else knows tasks by their contract.
FINDERS = ("inference.saved", "doctor", "ledger", "cli")


def name_of(path: Path) -> str:
    """The module's dotted name below hfkit: 'tasks.ner'; a package goes by its folder; '' is hfkit itself."""
    parts = path.relative_to(ROOT / "hfkit").with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: str) -> str:
    return module.partition(".")[0]


@cache
def nodes_of(source: str) -> list[ast.AST]:
    """Every node of a module, parsed once for all rules."""
    return list(ast.walk(ast.parse(source)))


def imports_of(source: str) -> set[str]:
    """Every hfkit module that `source` imports, also for types only; relative ones begin with a dot."""
    found = set()
    for node in nodes_of(source):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level:
            found.add("." * node.level + (node.module or ""))
        elif isinstance(node, ast.ImportFrom):
            # `from hfkit.scores import metrics` imports a module, `from hfkit.scores.metrics import x` a name in one.
            folder = ROOT.joinpath(*node.module.split(".")).is_dir()
            found |= {f"{node.module}.{alias.name}" for alias in node.names} if folder else {node.module}
    return {name.removeprefix("hfkit.") for name in found if name.startswith((".", "hfkit"))}


def broken_rules(source: str, module: str) -> list[str]:
    """Everything that is wrong with the imports of `module`, in words."""
    room = room_of(module)
    if room not in PLACES:
        return [f"{module} lies in no room: add '{room}' to FLOORS in tests/house/test_layers.py"]
    (floor, side), wrong = PLACES[room], []
    for name in sorted(imports_of(source)):
        if name.startswith("."):
            wrong.append(f"{module} imports {name}: imports are absolute")
        elif room_of(name) not in PLACES:
            wrong.append(f"{module} imports the public name {name}; import it from its own module")
        elif room_of(name) != room:
            below, left = PLACES[room_of(name)]
            beside = below == floor and left < side and list(FLOORS)[floor] != APART
            if below > floor or (below == floor and not beside):
                wrong.append(f"{module} (floor {floor}) imports {name}, which is neither below it nor to its left")
            if room_of(name) == "tasks" and not module.startswith(FINDERS):
                wrong.append(f"{module} imports {name}: only {', '.join(FINDERS)} look for tasks")
    return wrong


@pytest.mark.parametrize("path", [path for path in MODULES if name_of(path)], ids=name_of)
def test_imports_point_below_or_to_the_left(path):
    assert broken_rules(path.read_text(), name_of(path)) == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("errors", "from hfkit.progress import track"),
        ("data.files", "from hfkit.model.depth import Depths"),
        ("model.depth", "from hfkit.arguments.parse import parse"),
        ("contract.task", "from hfkit.prefix.cuts import find_cuts"),
        ("contract.task", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from hfkit.tasks.ner import NER"),
        ("tasks.ner", "def late():\n    import hfkit.report.report"),
        ("scores.metrics", "from hfkit.report import pages"),
        ("report.report", "from hfkit.hub.card import render_card"),
        ("report.report", "from hfkit.tasks.ner import NER"),
        ("training.trainer", "from hfkit.tasks import TASKS"),
        ("training.trainer", "from hfkit import parse"),
        ("training.trainer", "from .plan import plan_rows"),
        ("training.trainer", "from hfkit.ledger.bench import Bench"),
        ("nowhere", ""),
    ],
)
def test_the_check_sees_an_import_against_the_way(module, source):
    assert broken_rules(source, module)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("model.depth", "import torch\nfrom hfkit.errors import UserError"),
        ("tasks.ner", "from hfkit.samples import resolve_checkpoint\nfrom hfkit.contract.task import Task"),
        ("report.report", "from hfkit.contract.task import Task\nfrom hfkit.scores import metrics"),
        ("training.trainer", "from hfkit.hub.card import write_card\nfrom hfkit.training.plan import plan_rows"),
        ("inference.saved", "def find():\n    from hfkit.tasks import TASKS"),
        ("cli.plan", "from hfkit.tasks import TASKS"),
    ],
)
def test_the_check_lets_imports_along_the_way_pass(module, source):
    assert broken_rules(source, module) == []


def test_hardly_anything_stands_outside_a_room():
    outside = {path.name for path in (ROOT / "hfkit").iterdir() if path.is_file()}
    assert outside == {"__init__.py", "errors.py", "progress.py", "py.typed", "version.py"}


def floors_table() -> str:
    """CONTRIBUTING's table of the floors."""
    rows = [f"| {floor} {name} | {' · '.join(present(rooms))} |" for floor, (name, rooms) in enumerate(FLOORS.items())]
    return "\n".join(["| floor | rooms, left to right |", "|---|---|", *rows])


def present(rooms: tuple[str, ...]) -> list[str]:
    """The rooms that there are by now, as Markdown."""
    there = [room for room in rooms if (ROOT / "hfkit" / room).is_dir() or (ROOT / "hfkit" / f"{room}.py").is_file()]
    return [f"`{room}`" for room in there]


def test_contributing_shows_the_floors():
    shown = re.search(
        r"<!-- floors:begin -->\n(.*)\n<!-- floors:end -->", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL
    )
    assert shown[1] == floors_table(), f"write this there:\n{floors_table()}"


# Words that say which task is meant. A label, a column or a number of `task.key` is no such word, its value is.
TASK_NAMES = re.compile(
    r"""["'](?:ner|pos|NER|(?:token|text|image)-classification|question-answering|summarization|translation)["']"""
)


@pytest.mark.parametrize(
    "path", [path for path in MODULES if room_of(name_of(path)) not in ("tasks", "samples", "")], ids=name_of
)
def test_a_module_outside_tasks_knows_no_task(path):
    source = path.read_text()
    assert not TASK_NAMES.findall(source)
    names = {node.id for node in nodes_of(source) if isinstance(node, ast.Name)}
    names |= {node.attr for node in nodes_of(source) if isinstance(node, ast.Attribute)}
    strings = {node.value for node in nodes_of(source) if isinstance(node, ast.Constant)}
    assert "problem" not in names | strings


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_is_read_in_two_minutes(path):
    assert len(path.read_text().splitlines()) <= 65


def test_recipes_are_never_imported():
    recipes = {"recipes", *(path.stem for path in RECIPES)}
    folders = ("hfkit", "recipes", "tests", "benchmarks")
    for path in [file for folder in folders for file in (ROOT / folder).rglob("*.py")]:
        for node in nodes_of(path.read_text()):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in names if name.split(".")[0] in recipes], path


@pytest.mark.parametrize("folder", ["benchmarks", "docs", "hfkit", "recipes", "samples_source"])
def test_nothing_stands_on_tests(folder):
    for path in (ROOT / folder).rglob("*.py"):
        for node in nodes_of(path.read_text()):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in names if name.split(".")[0] == "tests"], path


def test_no_module_is_a_drawer_for_everything():
    names = {part for path in MODULES for part in name_of(path).split(".")}
    assert not {name for name in names if name.rstrip("s") in {"util", "helper", "common", "manager", "misc"}}


@pytest.mark.parametrize("path", [path for path in MODULES if path.name == "__init__.py"], ids=name_of)
def test_a_room_opens_with_what_lives_in_it(path):
    assert ast.get_docstring(ast.parse(path.read_text())), f"{path} has no docstring"


def unsafe_calls(source: str) -> list[str]:
    """Where `source` would run foreign code: pickles, `torch.load` of more than weights, a model repository's code."""
    found, nodes = [], nodes_of(source)
    tensors_only = {id(node.func) for node in nodes if isinstance(node, ast.Call) and loads_tensors_only(node)}
    for node in nodes:
        match node:
            case ast.Import(names=names) if any(a.name.split(".")[0] in PICKLES for a in names):
                found.append(f"line {node.lineno}: pickle")
            case ast.ImportFrom(module="pickle", names=[ast.alias(name="UnpicklingError")]):
                pass  # what torch raises where it refuses one
            case ast.ImportFrom(module=str(module)) if module.split(".")[0] in PICKLES:
                found.append(f"line {node.lineno}: pickle")
            case ast.ImportFrom(module="torch", names=names) if any(a.name == "load" for a in names):
                found.append(f"line {node.lineno}: torch.load")
            case ast.Attribute(value=ast.Name(id="torch"), attr="load") if id(node) not in tensors_only:
                found.append(f"line {node.lineno}: torch.load")
            case ast.keyword(arg="trust_remote_code", value=value):
                if not (isinstance(value, ast.Constant) and value.value is False):
                    found.append(f"line {value.lineno}: trust_remote_code that is not plainly False")
    return found


def loads_tensors_only(call: ast.Call) -> bool:
    """Whether a call says plainly weights_only=True, with which torch refuses anything but tensors."""
    said = [word.value for word in call.keywords if word.arg == "weights_only"]
    return [isinstance(value, ast.Constant) and value.value is True for value in said] == [True]


PICKLES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve"}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_nothing_foreign_is_executed(path):
    assert unsafe_calls(path.read_text()) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from joblib import load",
        "import torch\ntorch.load('x')",
        "import torch\ntorch.load('x', weights_only=False)",
        "import torch\ntorch.load('x', weights_only=flag)",
        "import torch\ntorch.load('x', weights_only=True)\nread = torch.load",
        "from torch import load",
        "AutoConfig.from_pretrained('x', trust_remote_code=True)",
        "AutoConfig.from_pretrained('x', trust_remote_code=flag)",
    ],
)
def test_the_check_sees_what_is_unsafe(source):
    assert unsafe_calls(source)
    assert not unsafe_calls("import torch\ntorch.load('x', weights_only=True)")
