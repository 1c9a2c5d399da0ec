"""House rules that nobody holds in the head: who may import whom, sizes, names, and nothing unsafe."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "hfkit").rglob("*.py"))
RECIPES = sorted((ROOT / "recipes").glob("*.py"))

# A module, or a folder of modules, and its layer: it imports lower layers and its own folder, nothing else.
LAYERS = {
    "errors": -1,
    "lazy": -1,
    "progress": -1,
    "depth": 0,
    "part_file": 0,
    "pictures": 0,
    "replay": 0,
    "activations": 0,
    "samples": 0,
    "sharding": 0,
    "processes": 0,
    "strategies": 0,
    "hub_terms": 0,
    "trackers": 0,
    "evaluation.metrics": 0,
    "evaluation.statistics": 0,
    "arguments": 1,
    "batches": 1,
    "optim": 1,
    "unfreezing": 1,
    "adapters": 1,
    "checkpoints": 1,
    "cuts": 1,
    "recipe": 1,
    "replicas": 1,
    "surgery": 1,
    "tasks": 2,
    "baselines": 3,
    "evaluation": 3,
    "invariants": 3,
    "memory": 3,
    "plan": 3,
    "refusals": 3,
    "prefix_cache": 3,
    "caching": 4,
    "auto": 4,
    "hub": 4,
    "telling": 4,
    "publishing": 5,
    "export": 5,
    "demo": 5,
    "trainer": 6,
    "doctor": 7,
    "ledger": 7,
    "cli": 8,
}
# The trainer, the baselines and the report see a task through its contract alone, or as what a saved model brings.
FROM_TASKS = ("tasks.base", "tasks.saved")


def name_of(path: Path) -> str:
    """The module's dotted name below hfkit: 'tasks.ner'; a package goes by its folder; '' is hfkit itself."""
    parts = path.relative_to(ROOT / "hfkit").with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def place_of(module: str) -> str | None:
    """The row of the layer table that covers `module`: the longest that is it or a folder above it."""
    rows = [row for row in LAYERS if module == row or module.startswith(row + ".")]
    return max(rows, key=len, default=None)


def imports_of(source: str, module: str, *, package: bool) -> set[str]:
    """Every hfkit module that `source` imports, anywhere in it and also for types only."""
    here = ["hfkit", *module.split(".")] if module else ["hfkit"]
    folder = here if package else here[:-1]
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = ".".join(folder[: len(folder) - node.level + 1]) if node.level else ""
            base = ".".join(part for part in (above, node.module) if part)
            # `from ..tasks import base` imports a module, `from ..tasks.base import Task` a name in one.
            found |= {f"{base}.{alias.name}" for alias in node.names} if exists(base) == "folder" else {base}
    return {name.removeprefix("hfkit").removeprefix(".") for name in found if name.split(".")[0] == "hfkit"}


def exists(dotted: str) -> str | None:
    path = ROOT.joinpath(*dotted.split("."))
    return "folder" if path.is_dir() else "module" if path.with_suffix(".py").is_file() else None


def broken_rules(source: str, module: str, *, package: bool = False) -> list[str]:
    """What is wrong with the imports of `module`, in words; empty when nothing is."""
    place, wrong = place_of(module), []
    if place is None:
        return [f"{module} has no layer: add it to LAYERS in tests/house/test_layers.py and to CONTRIBUTING.md"]
    for name in sorted(imports_of(source, module, package=package)):
        target = place_of(name)
        if target is None:
            if name != "__version__":
                wrong.append(f"{module} imports the public names of hfkit; import {name} from its own module")
        elif LAYERS[target] < LAYERS[place]:
            if target == "tasks" and place != "cli" and not name.startswith(FROM_TASKS):
                wrong.append(f"{module} imports {name}; it may know tasks only through {', '.join(FROM_TASKS)}")
        elif target != place or module == place and not package:
            wrong.append(f"{module} (layer {LAYERS[place]}) imports {name} (layer {LAYERS[target]})")
    return wrong


@pytest.mark.parametrize("path", [path for path in MODULES if name_of(path)], ids=name_of)
def test_imports_point_one_way(path):
    assert broken_rules(path.read_text(), name_of(path), package=path.name == "__init__.py") == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("depth", "from .optim import layerwise_parameter_groups"),
        ("optim", "from .unfreezing import FreezePlan"),
        (
            "tasks.base",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ..trainer import TransferTrainer",
        ),
        ("tasks.ner", "def late():\n    import hfkit.report.report"),
        ("evaluation.metrics", "from . import report"),
        ("evaluation.report", "from ..tasks.ner import NER"),
        ("evaluation.report", "from ..hub.card import render_card"),
        ("trainer", "from .tasks import NER"),
        ("trainer", "from hfkit import parse"),
        ("nowhere", ""),
    ],
)
def test_the_check_sees_an_import_against_the_way(module, source):
    assert broken_rules(source, module)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("depth", "import torch\nfrom .errors import UserError"),
        ("tasks.ner", "from ..samples import resolve_checkpoint\nfrom .base import Task"),
        (
            "evaluation.report",
            "from ..tasks.base import Task\nfrom . import metrics\nfrom .. import __version__",
        ),
        ("trainer", "from .tasks.base import Task\nfrom .optim import layerwise_parameter_groups"),
        ("cli", "from .tasks.ner import NER"),
    ],
)
def test_the_check_lets_imports_along_the_way_pass(module, source):
    assert broken_rules(source, module) == []


def is_pure_data(tree: ast.Module) -> bool:
    """Nothing but a docstring and assignments."""
    return all(isinstance(node, (ast.Expr, ast.Assign, ast.AnnAssign)) for node in tree.body)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_fits_in_the_head(path):
    source = path.read_text()
    assert len(source.splitlines()) <= 400 or is_pure_data(ast.parse(source))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_is_read_in_two_minutes(path):
    assert len(path.read_text().splitlines()) <= 80


def test_recipes_are_never_imported():
    recipes = {"recipes", *(path.stem for path in RECIPES)}
    folders = ("hfkit", "recipes", "tests", "benchmarks")
    for path in [file for folder in folders for file in (ROOT / folder).rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in names if name.split(".")[0] in recipes], path


def test_no_module_is_a_drawer_for_everything():
    names = {part for path in MODULES for part in name_of(path).split(".")}
    assert not {name for name in names if name.rstrip("s") in {"util", "helper", "common", "manager", "misc"}}


def unsafe_calls(source: str) -> list[str]:
    """Where `source` would run foreign code: pickles, `torch.load`, code from a model's repository."""
    found = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names) if any(a.name.split(".")[0] in PICKLES for a in names):
                found.append(f"line {node.lineno}: pickle")
            case ast.ImportFrom(module=str(module)) if module.split(".")[0] in PICKLES:
                found.append(f"line {node.lineno}: pickle")
            case ast.ImportFrom(module="torch", names=names) if any(a.name == "load" for a in names):
                found.append(f"line {node.lineno}: torch.load")
            case ast.Attribute(value=ast.Name(id="torch"), attr="load"):
                found.append(f"line {node.lineno}: torch.load")
            case ast.keyword(arg="trust_remote_code", value=value):
                if not (isinstance(value, ast.Constant) and value.value is False):
                    found.append(f"line {value.lineno}: trust_remote_code that is not plainly False")
    return found


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
        "from torch import load",
        "AutoConfig.from_pretrained('x', trust_remote_code=True)",
        "AutoConfig.from_pretrained('x', trust_remote_code=flag)",
    ],
)
def test_the_check_sees_what_is_unsafe(source):
    assert unsafe_calls(source)
