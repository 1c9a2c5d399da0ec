"""The tasks, one file each: their flags, and the rows, codec, judge and view that they are composed of.

A room on floor 3: it imports from the floors below and no other room of its own floor. Tasks share the families in the
folders here. Nothing outside this room knows a task by its name, its tag or its columns.
"""

from importlib import import_module
from typing import Any

# The only list of tasks, a line for each. `TASKS` is the tuple of their classes, which are imported on first use.
HOMES = {
    "NER": "ner",
    "PartOfSpeech": "part_of_speech",
    "TextClassification": "text_classification",
    "QuestionAnswering": "question_answering",
    "MultipleChoice": "multiple_choice",
    "ImageClassification": "image_classification",
    "MedicalImages": "medical_images",
    "SemanticSegmentation": "semantic_segmentation",
    "ObjectDetection": "object_detection",
    "InstanceSegmentation": "instance_segmentation",
    "LanguageModelling": "language_model",
    "Chat": "chat",
    "Summarization": "summarization",
    "Translation": "translation",
}


def __getattr__(name: str) -> Any:
    if name == "TASKS":
        return tuple(__getattr__(task) for task in HOMES)
    if name not in HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(f"{__name__}.{HOMES[name]}"), name)
