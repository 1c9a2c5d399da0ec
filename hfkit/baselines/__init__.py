"""Contenders that need no fine-tuning, judged on the same rows."""

from typing import TYPE_CHECKING

from ..lazy import on_first_use

if TYPE_CHECKING:
    from .base import Answers, Baseline
    from .choice import BASELINES, chosen, require_baselines
    from .hog import Hog
    from .knn import KNN
    from .lexicon import Lexicon
    from .linear_probe import LinearProbe
    from .majority import Majority
    from .nearest_mean import NearestMean
    from .pixel_probe import PixelProbe
    from .prompting import FewShotPrompt, ZeroShotPrompt
    from .setfit import SetFit
    from .similarity import SimilarityZeroShot
    from .tfidf import NGrams, TfIdf
    from .zero_shot_clip import ZeroShotCLIP
    from .zero_shot_nli import ZeroShotNLI

__all__ = [
    "BASELINES",
    "KNN",
    "Answers",
    "Baseline",
    "Hog",
    "FewShotPrompt",
    "Lexicon",
    "LinearProbe",
    "Majority",
    "NGrams",
    "NearestMean",
    "PixelProbe",
    "SetFit",
    "SimilarityZeroShot",
    "TfIdf",
    "ZeroShotCLIP",
    "ZeroShotNLI",
    "ZeroShotPrompt",
    "chosen",
    "require_baselines",
]

__getattr__ = on_first_use(
    __name__,
    {
        "Answers": ".base",
        "BASELINES": ".choice",
        "Baseline": ".base",
        "Hog": ".hog",
        "KNN": ".knn",
        "FewShotPrompt": ".prompting",
        "Lexicon": ".lexicon",
        "LinearProbe": ".linear_probe",
        "Majority": ".majority",
        "NGrams": ".tfidf",
        "NearestMean": ".nearest_mean",
        "PixelProbe": ".pixel_probe",
        "SetFit": ".setfit",
        "SimilarityZeroShot": ".similarity",
        "TfIdf": ".tfidf",
        "ZeroShotCLIP": ".zero_shot_clip",
        "ZeroShotNLI": ".zero_shot_nli",
        "ZeroShotPrompt": ".prompting",
        "chosen": ".choice",
        "require_baselines": ".choice",
    },
)
