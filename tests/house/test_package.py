"""`import hfkit` is cheap, a name imports only what it needs, and the wheel contains the files that the code reads."""

import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

import hfkit
from hfkit.arguments import training as arguments

ROOT = Path(__file__).parents[2]
HEAVY = {"torch", "transformers", "datasets", "accelerate", "numpy", "sklearn", "scipy", "matplotlib", "rich"}


def python(code: str) -> str:
    """The output of a fresh interpreter that runs `code`."""
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT).stdout


def test_import_takes_less_than_a_third_of_a_second():
    # CPU seconds, not wall seconds: a busy machine must not fail this.
    code = "import time; start = time.process_time(); import hfkit; print(time.process_time() - start)"
    assert min(float(python(code)) for _ in range(3)) < 0.3


@pytest.mark.parametrize("statement", ["import hfkit", "from hfkit import UserError, run"])
def test_import_loads_nothing_heavy(statement):
    loaded = python(f"import sys; {statement}; print(*sys.modules)").split()
    assert "hfkit" in loaded
    assert not HEAVY & set(loaded)


@pytest.mark.parametrize("name", hfkit.__all__)
def test_public_names_resolve_and_keep_their_name(name):
    found = getattr(hfkit, name)
    assert found is getattr(arguments, name) if name.isupper() else found.__name__ == name
    assert name in dir(hfkit)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="hfkit.*no_such_name"):
        hfkit.no_such_name  # noqa: B018


def test_the_wheel_contains_every_card_template():
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    templates = [path.name for path in (ROOT / "model_cards").glob("template*.md")]
    assert templates
    assert build["targets"]["wheel"]["force-include"] == {
        f"model_cards/{name}": f"hfkit/model_cards/{name}" for name in templates
    }


def test_the_script_of_the_package_is_a_command_line_program():
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    module, name = scripts["hfkit"].split(":")
    assert callable(getattr(import_module(module), name))
