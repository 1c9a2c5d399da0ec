"""Contenders that need no fine-tuning, judged on the same rows."""

from typing import TYPE_CHECKING

from ..lazy import on_first_use

if TYPE_CHECKING:
    from .lexicon import Lexicon
    from .linear_probe import LinearProbe
    from .majority import Majority
    from .pixel_probe import PixelProbe
    from .tfidf import TfIdf

__all__ = ["Lexicon", "LinearProbe", "Majority", "PixelProbe", "TfIdf"]

__getattr__ = on_first_use(
    __name__,
    {
        "Lexicon": ".lexicon",
        "LinearProbe": ".linear_probe",
        "Majority": ".majority",
        "PixelProbe": ".pixel_probe",
        "TfIdf": ".tfidf",
    },
)
