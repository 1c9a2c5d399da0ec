"""Baselines by the names that `--baseline` takes, made from the flags of a recipe."""

from collections.abc import Callable

from ..arguments import RecipeArguments, require_choice
from .base import Baseline
from .lexicon import Lexicon
from .linear_probe import LinearProbe
from .majority import Majority
from .pixel_probe import PixelProbe
from .tfidf import TfIdf

BASELINES: dict[str, Callable[[RecipeArguments], Baseline]] = {
    "majority": lambda recipe: Majority(),
    "lexicon": lambda recipe: Lexicon(),
    "tf-idf": lambda recipe: TfIdf(),
    "pixels": lambda recipe: PixelProbe(),
    "linear-probe": lambda recipe: LinearProbe(recipe.checkpoint),
}


def chosen(recipe: RecipeArguments) -> list[Baseline]:
    """The baselines that `--baseline` names, in its order.

    Raises:
        UserError: there is none of a name, or one lacks a flag that it needs.
    """
    for name in recipe.baseline:
        require_choice("baseline", name, BASELINES)
    return [BASELINES[name](recipe) for name in recipe.baseline]
