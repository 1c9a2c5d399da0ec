"""Baselines by the names that `--baseline` takes, made from the flags of a recipe."""

from collections.abc import Callable

from ..arguments import RecipeArguments, require_choice
from .base import Baseline
from .label_texts import read_label_texts
from .lexicon import Lexicon
from .linear_probe import LinearProbe
from .majority import Majority
from .pixel_probe import PixelProbe
from .setfit import SetFit
from .tfidf import TfIdf
from .whole_models import required
from .zero_shot_clip import ZeroShotCLIP
from .zero_shot_nli import ZeroShotNLI

BASELINES: dict[str, Callable[[RecipeArguments], Baseline]] = {
    "majority": lambda recipe: Majority(),
    "lexicon": lambda recipe: Lexicon(),
    "tf-idf": lambda recipe: TfIdf(),
    "pixels": lambda recipe: PixelProbe(),
    "linear-probe": lambda recipe: LinearProbe(recipe.checkpoint),
    "zero-shot-nli": lambda recipe: ZeroShotNLI(
        required(recipe.nli_checkpoint, "nli_checkpoint", "zero-shot-nli", "facebook/bart-large-mnli"),
        recipe.hypothesis,
        read_label_texts(recipe.label_texts),
    ),
    "zero-shot-clip": lambda recipe: ZeroShotCLIP(
        required(recipe.clip_checkpoint, "clip_checkpoint", "zero-shot-clip", "openai/clip-vit-base-patch32"),
        texts=read_label_texts(recipe.label_texts),
    ),
    "setfit": lambda recipe: SetFit(recipe.checkpoint, recipe.setfit_shots),
}


def chosen(recipe: RecipeArguments) -> list[Baseline]:
    """The baselines that `--baseline` names, in its order.

    Raises:
        UserError: there is none of a name, or one lacks a flag that it needs.
    """
    for name in recipe.baseline:
        require_choice("baseline", name, BASELINES)
    return [BASELINES[name](recipe) for name in recipe.baseline]
