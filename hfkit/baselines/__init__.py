"""Contenders that need no fine-tuning, evaluated on the same rows.

They count, probe a frozen checkpoint, or ask another model. They know the contract of a task and the floors below it,
never a task itself, the report or the trainer.
"""

from typing import TYPE_CHECKING

from hfkit.runtime.lazy import import_on_first_use

if TYPE_CHECKING:
    from hfkit.baselines.base import Answers, Baseline
    from hfkit.baselines.choice import BASELINES, choose_baselines
    from hfkit.baselines.copying import Copy, Lead
    from hfkit.baselines.frozen.knn import KNN
    from hfkit.baselines.frozen.linear_probe import LinearProbe
    from hfkit.baselines.frozen.nearest_mean import NearestMean
    from hfkit.baselines.frozen.patch_probe import PatchProbe
    from hfkit.baselines.frozen.region_probe import RegionProbe
    from hfkit.baselines.frozen.setfit import SetFit
    from hfkit.baselines.frozen.similarity import SimilarityZeroShot
    from hfkit.baselines.hog import Hog
    from hfkit.baselines.kneser_ney import ByteCounter
    from hfkit.baselines.lexicon import Lexicon
    from hfkit.baselines.majority import Majority
    from hfkit.baselines.mean_boxes import MeanBoxes
    from hfkit.baselines.options import LikestOption, LongestOption, MajorityPlace
    from hfkit.baselines.passages import LikestSentence, NearWords
    from hfkit.baselines.pixel_classes import PixelColours
    from hfkit.baselines.pixel_probe import PixelProbe
    from hfkit.baselines.prompting.decision import Decision
    from hfkit.baselines.prompting.prompting import FewShotPrompt, ZeroShotPrompt
    from hfkit.baselines.tfidf import NGrams, TfIdf
    from hfkit.baselines.untouched import Untouched
    from hfkit.baselines.word_tags import WordTags
    from hfkit.baselines.zero_shot_clip import ZeroShotCLIP
    from hfkit.baselines.zero_shot_nli import ZeroShotNLI

__all__ = [
    "BASELINES",
    "KNN",
    "Answers",
    "Baseline",
    "Decision",
    "ByteCounter",
    "Copy",
    "Hog",
    "FewShotPrompt",
    "Lead",
    "Lexicon",
    "LikestOption",
    "LikestSentence",
    "LinearProbe",
    "LongestOption",
    "Majority",
    "MajorityPlace",
    "MeanBoxes",
    "NGrams",
    "NearWords",
    "NearestMean",
    "PatchProbe",
    "PixelColours",
    "PixelProbe",
    "RegionProbe",
    "SetFit",
    "SimilarityZeroShot",
    "TfIdf",
    "Untouched",
    "WordTags",
    "ZeroShotCLIP",
    "ZeroShotNLI",
    "ZeroShotPrompt",
    "choose_baselines",
]

__getattr__ = import_on_first_use(
    __name__,
    {
        "Answers": ".base",
        "BASELINES": ".choice",
        "Baseline": ".base",
        "Decision": ".prompting.decision",
        "ByteCounter": ".kneser_ney",
        "Copy": ".copying",
        "Hog": ".hog",
        "KNN": ".frozen.knn",
        "FewShotPrompt": ".prompting.prompting",
        "Lead": ".copying",
        "Lexicon": ".lexicon",
        "LinearProbe": ".frozen.linear_probe",
        "LikestOption": ".options",
        "LikestSentence": ".passages",
        "LongestOption": ".options",
        "Majority": ".majority",
        "MajorityPlace": ".options",
        "MeanBoxes": ".mean_boxes",
        "NGrams": ".tfidf",
        "NearWords": ".passages",
        "NearestMean": ".frozen.nearest_mean",
        "PatchProbe": ".frozen.patch_probe",
        "PixelColours": ".pixel_classes",
        "PixelProbe": ".pixel_probe",
        "RegionProbe": ".frozen.region_probe",
        "SetFit": ".frozen.setfit",
        "SimilarityZeroShot": ".frozen.similarity",
        "TfIdf": ".tfidf",
        "Untouched": ".untouched",
        "WordTags": ".word_tags",
        "ZeroShotCLIP": ".zero_shot_clip",
        "ZeroShotNLI": ".zero_shot_nli",
        "ZeroShotPrompt": ".prompting.prompting",
        "choose_baselines": ".choice",
    },
)
