"""Baselines by the names that `--baseline` takes, made from the flags of a recipe."""

from collections.abc import Callable

# Not the names themselves: each module is imported when its baseline is chosen.
from .. import baselines
from ..arguments import RecipeArguments, require_choice
from ..errors import UserError
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
    "zero-shot-nli": lambda recipe: baselines.ZeroShotNLI(
        required(recipe.nli_checkpoint, "nli_checkpoint", "zero-shot-nli", "facebook/bart-large-mnli"),
        recipe.hypothesis,
        read_label_texts(recipe.label_texts),
    ),
    "zero-shot-clip": lambda recipe: baselines.ZeroShotCLIP(
        required(recipe.clip_checkpoint, "clip_checkpoint", "zero-shot-clip", "openai/clip-vit-base-patch32"),
        texts=read_label_texts(recipe.label_texts),
    ),
    "setfit": lambda recipe: baselines.SetFit(recipe.checkpoint, recipe.setfit_shots),
    "zero-shot-prompt": lambda recipe: baselines.ZeroShotPrompt(
        required(recipe.prompt_checkpoint, "prompt_checkpoint", "zero-shot-prompt", "HuggingFaceTB/SmolLM2-135M"),
        recipe.label_texts,
    ),
    "few-shot-prompt": lambda recipe: baselines.FewShotPrompt(
        required(recipe.prompt_checkpoint, "prompt_checkpoint", "few-shot-prompt", "HuggingFaceTB/SmolLM2-135M"),
        recipe.label_texts,
        recipe.shots,
        recipe.demonstrations,
        recipe.prompt_orders,
        recipe.checkpoint,
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


def required(checkpoint: str | None, flag: str, baseline: str, example: str) -> str:
    """A checkpoint that a baseline cannot do without.

    Raises:
        UserError: none is named.
    """
    if checkpoint is None:
        raise UserError(f"baseline '{baseline}'", f"it needs a checkpoint, by --{flag}", f"Try --{flag} {example}")
    return checkpoint
