"""Python that asks a finished model without hfkit, as its card shows it.

A task's view writes it when the report is made. The model's name may still change when it is pushed, so a placeholder
stands for it until a card is rendered.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from hfkit.arguments.adapters import kind_of
from hfkit.contract.snippets import literal
from hfkit.contract.target import Target
from hfkit.contract.task import Task
from hfkit.contract.view import Example

MODEL = "@model@"
QUOTED = re.compile(rf"""(["']){MODEL}\1""")
IMPORT = "from transformers import "


def write_snippets(
    task: Task,
    target: Target,
    examples: Sequence[Example],
    facts: Mapping[str, Any],
    *,
    settings: Mapping[str, Any],
    base: Mapping[str, Any] | None,
) -> dict[str, str | None]:
    """How to ask the saved `model`, and how to put its `adapter` on the base; both have `MODEL` for the model's name.

    `adapter` is None where no adapters were trained, and where the base cannot be had again, because parts of it were
    drawn at random.

    Args:
        facts: what the report says of the data.
        base: the checkpoint that the run started from (see `schema`).
    """
    kind = kind_of(settings)
    if base is not None and kind is not None and not kind.merges:
        loaded = put_on_base(task, base, "has the labels, what reads the inputs, and what learnt", "")
        asking = task.view.snippet(MODEL, target, examples, facts, loaded="\n".join(loaded))
        return {"model": import_peft(asking, task), "adapter": None}
    model = task.view.snippet(MODEL, target, examples, facts)
    if base is None or base["relation"] != "adapter" or settings.get("reinit_blocks"):
        return {"model": model, "adapter": None}
    inside = f", subfolder={literal('adapter')}).merge_and_unload("
    home = "has the labels and what reads the inputs; the adapters lie in its folder adapter/"
    asking = task.view.snippet(MODEL, target, examples, facts, loaded="\n".join(put_on_base(task, base, home, inside)))
    return {"model": model, "adapter": import_peft(asking, task)}


def put_on_base(task: Task, base: Mapping[str, Any], home: str, inside: str) -> list[str]:
    """Lines of Python that load adapters onto their base.

    Args:
        home: what the saved model's place has, in words.
        inside: where the adapters lie in it, and what is done with them then.
    """
    auto_model, auto_processor = task.auto_model.__name__, task.view.auto_processor
    return [
        f"home = {literal(MODEL)}  # {home}",
        f"base = {auto_model}.from_pretrained(",
        f"    {literal(base['id'] or base['name'])},",
        "    config=AutoConfig.from_pretrained(home),",
        f"    dtype={literal('float32')},",
        "    ignore_mismatched_sizes=True,",
        ")",
        f"model = PeftModel.from_pretrained(base, home{inside})",
        f"processor = {auto_processor}.from_pretrained(home)",
    ]


def import_peft(snippet: str, task: Task) -> str:
    """A snippet that also imports what `put_on_base` uses, beside the names on its first line."""
    return add_imports(snippet, {"AutoConfig", task.auto_model.__name__, task.view.auto_processor})


def add_imports(snippet: str, names: set[str]) -> str:
    """A snippet that also imports peft and these names of transformers, beside those on its first line."""
    first, _, code = snippet.partition("\n")
    if first.startswith(IMPORT):
        names = {*names, *first.removeprefix(IMPORT).split(", ")}
    else:
        code = snippet
    return f"from peft import PeftModel\n{IMPORT}{', '.join(sorted(names))}\n{code}"


def insert_model(snippet: str, model: str) -> str:
    """A snippet with the model's name in place of `MODEL`, as a literal of Python whatever the name holds."""
    return QUOTED.sub(lambda _: literal(model), snippet)
