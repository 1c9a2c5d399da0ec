"""Contenders that need no fine-tuning, judged on the same rows."""

from .lexicon import Lexicon
from .linear_probe import LinearProbe

__all__ = ["Lexicon", "LinearProbe"]
