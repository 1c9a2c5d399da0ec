"""One task per file: what a kind of data and label means."""

from typing import TYPE_CHECKING

from hfkit.runtime.lazy import on_first_use

if TYPE_CHECKING:
    from hfkit.tasks.image_classification import ImageClassification
    from hfkit.tasks.ner import NER
    from hfkit.tasks.text_classification import TextClassification

__all__ = ["NER", "ImageClassification", "TextClassification"]

__getattr__ = on_first_use(
    __name__,
    {
        "ImageClassification": ".image_classification",
        "NER": ".ner",
        "TextClassification": ".text_classification",
    },
)
