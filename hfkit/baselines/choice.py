"""Baselines by the names that `--baseline` takes, made from the flags of a recipe."""

from collections.abc import Callable

from ..arguments import RecipeArguments, require_choice
from ..errors import UserError
from .base import Baseline
from .lexicon import Lexicon
from .linear_probe import LinearProbe
from .majority import Majority
from .pixel_probe import PixelProbe
from .prompting import FewShotPrompt, ZeroShotPrompt
from .tfidf import TfIdf

BASELINES: dict[str, Callable[[RecipeArguments], Baseline]] = {
    "majority": lambda recipe: Majority(),
    "lexicon": lambda recipe: Lexicon(),
    "tf-idf": lambda recipe: TfIdf(),
    "pixels": lambda recipe: PixelProbe(),
    "linear-probe": lambda recipe: LinearProbe(recipe.checkpoint),
    "zero-shot-prompt": lambda recipe: ZeroShotPrompt(language_model(recipe), recipe.label_texts),
    "few-shot-prompt": lambda recipe: FewShotPrompt(
        language_model(recipe),
        recipe.label_texts,
        recipe.shots,
        recipe.demonstrations,
        recipe.prompt_orders,
        recipe.checkpoint,
    ),
}


def language_model(recipe: RecipeArguments) -> str:
    """The checkpoint that is prompted.

    Raises:
        UserError: there is none.
    """
    if recipe.prompt_checkpoint is None:
        raise UserError(
            "baseline with a prompt", "it needs a language model", "Name a causal one with --prompt_checkpoint"
        )
    return recipe.prompt_checkpoint


def chosen(recipe: RecipeArguments) -> list[Baseline]:
    """The baselines that `--baseline` names, in its order.

    Raises:
        UserError: there is none of a name, or one lacks a flag that it needs.
    """
    for name in recipe.baseline:
        require_choice("baseline", name, BASELINES)
    return [BASELINES[name](recipe) for name in recipe.baseline]
