"""Surroundings: the working folder may be anybody's, and nothing in it runs."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hfkit.ledger.engines.local import start_worker
from hfkit.runtime import machine

ROOT = Path(__file__).parents[2]
PLANTED = "json typing random statistics evaluate shlex yaml rich typer numpy datasets transformers sitecustomize"
# Loaded by every Python below: it ends when torch is imported, long before anything slow.
END_AT_TORCH = """
import sys
class Stop:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            hfkit = sys.modules.get("hfkit")  # a recipe imports transformers first
            print("reached torch from", hfkit and hfkit.__file__, flush=True)
            raise SystemExit(0)
sys.meta_path.insert(0, Stop())
"""


def git(folder: Path, *words: str) -> str:
    settings = ("-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "core.fsmonitor=false")
    ended = subprocess.run(["git", *settings, *words], cwd=folder, check=True, capture_output=True, text=True)
    return ended.stdout.strip()


@pytest.fixture
def hostile(tmp_path, monkeypatch) -> Path:
    """A working folder where everything that could run leaves a file `ran-…`."""
    folder = tmp_path / "hostile"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name in PLANTED.split():
        (folder / f"{name}.py").write_text(f"open({str(tmp_path / 'ran-') + name!r}, 'w')\nraise SystemExit(9)\n")
    program = folder / "program"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran-program\ncat\n")
    program.chmod(0o755)
    shutil.copy(program, folder / "git")
    git(folder, "init", "--quiet")
    (folder / ".gitattributes").write_text("* filter=evil\n")
    git(folder, "add", ".gitattributes")
    git(folder, "commit", "--quiet", "--message", "theirs")
    hooks = folder / "hooks"
    hooks.mkdir()
    shutil.copy(program, hooks / "post-index-change")
    for name in ("core.fsmonitor", "core.sshCommand", "core.pager", "filter.evil.clean", "diff.external"):
        git(folder, "config", name, str(program))
    git(folder, "config", "core.hooksPath", str(hooks))
    (folder / ".gitattributes").touch()
    assert not ran(tmp_path)
    return folder


def ran(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in tmp_path.glob("ran-*"))


@pytest.mark.parametrize("variables", [(), ("GIT_DIR", "GIT_WORK_TREE"), ("GIT_CONFIG_GLOBAL",), ("PATH",)])
def test_the_commit_is_that_of_hfkit_wherever_it_works(hostile, tmp_path, monkeypatch, variables):
    values = {
        "GIT_DIR": str(hostile / ".git"),
        "GIT_WORK_TREE": str(hostile),
        "GIT_CONFIG_GLOBAL": str(hostile / ".git" / "config"),
        "PATH": f".{os.pathsep}{os.pathsep}{os.environ['PATH']}",
    }
    for name in variables:
        monkeypatch.setenv(name, values[name])
    assert machine._commit().removesuffix("-dirty") == git(ROOT, f"--git-dir={ROOT / '.git'}", "rev-parse", "HEAD")
    assert not ran(tmp_path)


def test_an_installed_hfkit_has_no_commit_even_inside_a_repository(hostile, tmp_path, monkeypatch):
    inside = hostile / "lib" / "hfkit" / "runtime" / "machine.py"
    monkeypatch.setattr(machine, "__file__", str(inside))
    assert machine._commit() == "none" and not ran(tmp_path)


def test_workers_and_recipes_import_nothing_from_the_working_folder(hostile, tmp_path, monkeypatch):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(END_AT_TORCH)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "site"), str(ROOT)]))
    recipe = [sys.executable, str(ROOT / "recipes" / "bert_ner.py")]
    ended = subprocess.run(recipe, capture_output=True, text=True, timeout=60)
    assert "reached torch" in ended.stdout, ended.stderr
    # A worker runs the hfkit of its parent, which may have found it in a folder of its own.
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    assert start_worker(0, 1, [], tmp_path / "logs").wait(60) == 0
    assert f"reached torch from {ROOT / 'hfkit'}" in (tmp_path / "logs" / "worker-0.txt").read_text()
    assert not ran(tmp_path)
