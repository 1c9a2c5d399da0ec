"""Names that anyone would write: a function is a verb, a value a noun, and a docstring does not begin with "What"."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted(path for folder in ("hfkit", "recipes") for path in (ROOT / folder).rglob("*.py"))
# Verbs and nouns of one word that only look like participles.
NO_PARTICIPLES = {"embed", "feed", "need", "seed", "shed", "speed", "spread"}
IRREGULAR = {
    *("begun", "brought", "built", "chosen", "cut", "drawn", "fewer", "found", "given", "gone", "held", "hidden"),
    *("kept", "known", "left", "lost", "made", "meant", "met", "read_by", "said", "seen", "sent", "shown", "shrunk"),
    *("spelt", "spent", "spoken", "taken", "taught", "thrown", "told", "understood", "written"),
}
ADVERBS = {
    *("alone", "along", "anew", "apart", "aside", "away", "beside", "beyond", "due", "else", "evenly", "here", "how"),
    *("likewise", "once", "only", "quiet", "rather", "so", "then", "there", "together", "why"),
}
PREPOSITIONS = {
    "above",
    "after",
    "as",
    "at",
    "before",
    "below",
    "by",
    "for",
    "from",
    "in",
    "of",
    "on",
    "to",
    "with",
    "without",
}


def is_no_verb(name: str) -> bool:
    """Whether a function's name is a bare participle, adverb or preposition."""
    word = name.strip("_")
    participle = re.fullmatch(r"[a-z]+ed", word) and word not in NO_PARTICIPLES
    return bool(participle) or word in IRREGULAR | ADVERBS | PREPOSITIONS


def functions_of(path: Path) -> Iterator[ast.FunctionDef]:
    """All functions of a module but properties, which are values."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef) and not is_property(node) and not is_constructor(node):
            yield node


def is_constructor(node: ast.FunctionDef) -> bool:
    """Whether it is read with its class: `Depths.of(model)`."""
    return node.name == "of" and any(ast.unparse(decorator) == "classmethod" for decorator in node.decorator_list)


def is_property(node: ast.FunctionDef) -> bool:
    return any(ast.unparse(decorator).endswith(("property", "setter")) for decorator in node.decorator_list)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_functions_are_verbs(path):
    assert [f"{node.name} (line {node.lineno})" for node in functions_of(path) if is_no_verb(node.name)] == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_docstrings_say_what_the_caller_gets(path):
    kinds = (ast.FunctionDef, ast.ClassDef, ast.Module)
    nodes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, kinds)]
    texts = [(getattr(node, "name", "module"), ast.get_docstring(node) or "") for node in nodes]
    assert [name for name, text in texts if text.startswith("What ")] == []


@pytest.mark.parametrize("name", ["told", "_checked", "alone", "by", "without", "measured", "evenly"])
def test_the_check_sees_a_name_that_is_no_verb(name):
    assert is_no_verb(name)


@pytest.mark.parametrize("name", ["read", "check_rows", "seed", "to_json", "without_secrets", "rows_of", "answer"])
def test_the_check_lets_verbs_and_nouns_pass(name):
    assert not is_no_verb(name)
