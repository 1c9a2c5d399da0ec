"""Contenders that need no fine-tuning, judged on the same rows."""

from .lexicon import Lexicon
from .linear_probe import LinearProbe
from .majority import Majority
from .pixel_probe import PixelProbe
from .tfidf import TfIdf

__all__ = ["Lexicon", "LinearProbe", "Majority", "PixelProbe", "TfIdf"]
