"""One file per task: its flags, and the rows, codec, judge and view that it is composed of.

A task may know the floors below and the families in the folders here, which tasks share; nothing outside this room
knows a task by its name, its tag or its columns.
"""

from importlib import import_module
from typing import Any

# The only list of tasks: a line for each. `TASKS` is the tuple of their classes, which are imported when asked for.
HOMES = {
    "NER": "ner",
    "PartOfSpeech": "part_of_speech",
    "TextClassification": "text_classification",
    "ImageClassification": "image_classification",
}


def __getattr__(name: str) -> Any:
    if name == "TASKS":
        return tuple(__getattr__(task) for task in HOMES)
    if name not in HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(f"{__name__}.{HOMES[name]}"), name)
