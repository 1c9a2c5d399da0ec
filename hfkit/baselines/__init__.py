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
    from .setfit import SetFit
    from .tfidf import TfIdf
    from .zero_shot_clip import ZeroShotCLIP
    from .zero_shot_nli import ZeroShotNLI

__all__ = [
    "BASELINES",
    "Answers",
    "Baseline",
    "Lexicon",
    "LinearProbe",
    "Majority",
    "PixelProbe",
    "SetFit",
    "TfIdf",
    "ZeroShotCLIP",
    "ZeroShotNLI",
    "chosen",
]

__getattr__ = on_first_use(
    __name__,
    {
        "Answers": ".base",
        "BASELINES": ".choice",
        "Baseline": ".base",
        "Lexicon": ".lexicon",
        "LinearProbe": ".linear_probe",
        "Majority": ".majority",
        "PixelProbe": ".pixel_probe",
        "SetFit": ".setfit",
        "TfIdf": ".tfidf",
        "ZeroShotCLIP": ".zero_shot_clip",
        "ZeroShotNLI": ".zero_shot_nli",
        "chosen": ".choice",
    },
)
