"""One task per file: what a kind of data and label means."""

from .image_classification import ImageClassification as ImageClassification
from .ner import NER as NER
from .text_classification import TextClassification as TextClassification
