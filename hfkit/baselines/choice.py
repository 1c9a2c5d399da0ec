"""Baselines by the names that `--baseline` takes, made from the flags of a recipe."""

from collections.abc import Callable

# Not the names themselves: each module is imported when its baseline is chosen.
from .. import baselines
from ..arguments import RecipeArguments, require_choice
from .base import Baseline
from .label_texts import read_label_texts

BASELINES: dict[str, Callable[[RecipeArguments], Baseline]] = {
    "majority": lambda recipe: baselines.Majority(),
    "lexicon": lambda recipe: baselines.Lexicon(),
    "tf-idf": lambda recipe: baselines.TfIdf(),
    "n-grams": lambda recipe: baselines.NGrams(),
    "pixels": lambda recipe: baselines.PixelProbe(),
    "hog": lambda recipe: baselines.Hog(),
    "linear-probe": lambda recipe: baselines.LinearProbe(recipe.checkpoint, recipe.features_dir),
    "knn": lambda recipe: baselines.KNN(recipe.checkpoint, recipe.features_dir),
    "nearest-mean": lambda recipe: baselines.NearestMean(recipe.checkpoint, recipe.features_dir),
    "zero-shot-similarity": lambda recipe: baselines.SimilarityZeroShot(
        recipe.checkpoint, recipe.features_dir, read_label_texts(recipe.label_texts)
    ),
}


def chosen(recipe: RecipeArguments) -> list[Baseline]:
    """The baselines that `--baseline` names, in its order.

    Raises:
        UserError: there is none of a name, or one lacks a flag that it needs.
    """
    for name in recipe.baseline:
        require_choice("baseline", name, BASELINES)
    return [BASELINES[name](recipe) for name in recipe.baseline]
