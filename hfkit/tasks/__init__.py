"""One task per file: what a kind of data and label means."""

from .ner import NER as NER
