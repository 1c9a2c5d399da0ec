"""Contenders that need no fine-tuning, judged on the same rows."""

from typing import TYPE_CHECKING

from ..lazy import on_first_use

if TYPE_CHECKING:
    from .base import Answers, Baseline
    from .choice import BASELINES, chosen
    from .lexicon import Lexicon
    from .linear_probe import LinearProbe
    from .majority import Majority
    from .pixel_probe import PixelProbe
    from .prompting import FewShotPrompt, ZeroShotPrompt
    from .tfidf import TfIdf

__all__ = [
    "BASELINES",
    "Answers",
    "Baseline",
    "FewShotPrompt",
    "Lexicon",
    "LinearProbe",
    "Majority",
    "PixelProbe",
    "TfIdf",
    "ZeroShotPrompt",
    "chosen",
]

__getattr__ = on_first_use(
    __name__,
    {
        "Answers": ".base",
        "BASELINES": ".choice",
        "Baseline": ".base",
        "FewShotPrompt": ".prompting",
        "Lexicon": ".lexicon",
        "LinearProbe": ".linear_probe",
        "Majority": ".majority",
        "PixelProbe": ".pixel_probe",
        "TfIdf": ".tfidf",
        "ZeroShotPrompt": ".prompting",
        "chosen": ".choice",
    },
)
