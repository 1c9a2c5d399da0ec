"""Contenders that need no fine-tuning, judged on the same rows."""

from typing import TYPE_CHECKING

from ..lazy import on_first_use

if TYPE_CHECKING:
    from .base import Answers, Baseline
    from .choice import BASELINES, chosen
    from .hog import Hog
    from .knn import KNN
    from .lexicon import Lexicon
    from .linear_probe import LinearProbe
    from .majority import Majority
    from .nearest_mean import NearestMean
    from .pixel_probe import PixelProbe
    from .similarity import SimilarityZeroShot
    from .tfidf import NGrams, TfIdf

__all__ = [
    "BASELINES",
    "KNN",
    "Answers",
    "Baseline",
    "Hog",
    "Lexicon",
    "LinearProbe",
    "Majority",
    "NGrams",
    "NearestMean",
    "PixelProbe",
    "SimilarityZeroShot",
    "TfIdf",
    "chosen",
]

__getattr__ = on_first_use(
    __name__,
    {
        "Answers": ".base",
        "BASELINES": ".choice",
        "Baseline": ".base",
        "Hog": ".hog",
        "KNN": ".knn",
        "Lexicon": ".lexicon",
        "LinearProbe": ".linear_probe",
        "Majority": ".majority",
        "NGrams": ".tfidf",
        "NearestMean": ".nearest_mean",
        "PixelProbe": ".pixel_probe",
        "SimilarityZeroShot": ".similarity",
        "TfIdf": ".tfidf",
        "chosen": ".choice",
    },
)
