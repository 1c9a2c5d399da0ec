"""One file per task: its flags, and the rows, codec, judge and view that it is composed of.

A task may know the floors below and the families in the folders here, which tasks share; nothing outside this room knows
a task by its name, its tag or its columns.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hfkit.contract.task import Task
    from hfkit.tasks.image_classification import ImageClassification
    from hfkit.tasks.ner import NER
    from hfkit.tasks.part_of_speech import PartOfSpeech
    from hfkit.tasks.text_classification import TextClassification

    TASKS: tuple[type[Task], ...]

# The only list of tasks there is: its class, and the module that has it. A task is imported when it is asked for.
HOMES = {
    "NER": "ner",
    "PartOfSpeech": "part_of_speech",
    "TextClassification": "text_classification",
    "ImageClassification": "image_classification",
}
__all__ = ["TASKS", *HOMES]


def __getattr__(name: str) -> Any:
    if name == "TASKS":
        return tuple(__getattr__(task) for task in HOMES)
    if name not in HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(f"{__name__}.{HOMES[name]}"), name)
