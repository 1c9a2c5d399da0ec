"""Chat templates that would not end: a template is a small program of whoever wrote the checkpoint.

It runs in the sandbox of transformers, which keeps it from files and from Python, and not from counting to 10^10.
Nearly every template only goes through the turns, and is let through for its form alone. One that counts, multiplies,
calls itself or doubles a text is tried first, in a process that is stopped when it takes too long.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterable
from functools import lru_cache

from jinja2 import TemplateError, nodes
from transformers.utils.chat_template_utils import _compile_jinja_template

from hfkit.errors import UserError

SECONDS, MEMORY = 20, 4 * 2**30
TURNS = [{"role": ("user", "assistant")[number % 2], "content": "a b"} for number in range(65)]
COUNTING = {"range", "lipsum"}
MOST_NESTED, MOST_LITERAL, MOST_NUMBER = 3, 50, 10_000
WIDTH = re.compile(r"\d{5}")  # of a format, such as %099999d
# Runs in a process of its own, with the environment that transformers makes.
TRIAL = f"""
import json, sys
try:
    import resource
    resource.setrlimit(resource.RLIMIT_AS, ({MEMORY}, {MEMORY}))
except ImportError:
    pass
from transformers.utils.chat_template_utils import _compile_jinja_template
template, turns, tokens = json.load(sys.stdin)
try:
    _compile_jinja_template(template).render(messages=turns, add_generation_prompt=True, **tokens)
except MemoryError:
    sys.exit(3)
except Exception:
    pass  # whoever renders it says what is wrong
"""


@lru_cache(maxsize=16)
def refuse_endless(template: str, named: str, tokens: str = "{}") -> None:
    """Refuse a chat template that does not end on some short turns.

    Args:
        tokens: the special tokens of its tokenizer, as JSON.

    Raises:
        UserError: it takes too long, or too much memory.
    """
    if not may_not_end(template):
        return
    trial = json.dumps([template, TURNS, json.loads(tokens)])
    try:
        ended = subprocess.run(
            [sys.executable, "-P", "-c", TRIAL],
            input=trial,
            text=True,
            timeout=SECONDS,
            capture_output=True,
            check=False,
        )
        stopped = ended.returncode == 3 or ended.returncode < 0
    except subprocess.TimeoutExpired:
        stopped = True
    if stopped:
        raise UserError(
            f"{named}: its chat template",
            f"it does not end within {SECONDS} seconds and {MEMORY // 2**30} GB on {len(TURNS)} short turns",
            "Use a checkpoint from a source you trust, or one without a template",
        )


def may_not_end(template: str) -> bool:
    """Whether a template does more than to go through the turns, so that it may run for ever, or write without end."""
    try:
        # Not compiled here: that computes with constants, and 'a' * 10**10 fills the memory.
        tree = _compile_jinja_template("").environment.parse(template)
    except TemplateError:
        return False  # whoever renders it says what is wrong
    loops = list(tree.find_all(nodes.For))
    return (
        any(isinstance(call.node, nodes.Name) and call.node.name in COUNTING for call in tree.find_all(nodes.Call))
        or any(True for _ in tree.find_all((nodes.Mul, nodes.Pow)))
        or any(map(is_large, tree.find_all((nodes.Const, nodes.List, nodes.Tuple))))
        or any(
            loop.recursive or isinstance(loop.iter, nodes.Const) or count_nested(loop) > MOST_NESTED for loop in loops
        )
        or calls_itself(tree)
        or any(map(grows, loops))
    )


def is_large(literal: nodes.Const | nodes.List | nodes.Tuple) -> bool:
    """Whether a literal is a number or a width of thousands, or a long list, over which loops may be nested."""
    if isinstance(literal, nodes.Const):
        value = literal.value
        return (isinstance(value, int | float) and abs(value) > MOST_NUMBER) or (
            isinstance(value, str) and WIDTH.search(value) is not None
        )
    return len(literal.items) > MOST_LITERAL


def count_nested(loop: nodes.For) -> int:
    """How many loops lie within each other from this one on."""
    return 1 + max((count_nested(inner) for inner in loop.find_all(nodes.For)), default=0)


def calls_itself(tree: nodes.Template) -> bool:
    macros = list(tree.find_all(nodes.Macro))
    names = {macro.name for macro in macros}
    called = {call.node.name for macro in macros for call in macro.find_all(nodes.Call) if is_name(call.node)}
    return bool(names & called)


def is_name(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Name)


def grows(loop: nodes.For) -> bool:
    """Whether a value made in a loop is put together from several that are made there, as x = x ~ x."""
    made = {name for assign in loop.find_all(nodes.Assign) for name in names_of([assign.target])}
    return any(
        len(names_of(assign.node.find_all((nodes.Name, nodes.Getattr)), made)) > 1
        for assign in loop.find_all(nodes.Assign)
        if isinstance(assign.node, nodes.Add | nodes.Concat)
    )


def names_of(found: Iterable[nodes.Node], among: set[str] | None = None) -> list[str]:
    """The names of variables and of attributes of namespaces, as often as they occur."""
    names = []
    for node in found:
        if isinstance(node, nodes.Name):
            names.append(node.name)
        elif isinstance(node, nodes.NSRef):
            names.append(f"{node.name}.{node.attr}")
        elif isinstance(node, nodes.Getattr) and isinstance(node.node, nodes.Name):
            names.append(f"{node.node.name}.{node.attr}")
    return [name for name in names if among is None or name in among]
