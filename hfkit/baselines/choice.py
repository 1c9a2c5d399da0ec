"""Baselines by the names that `--baseline` takes, made from the flags of a recipe."""

from collections.abc import Callable
from dataclasses import replace

# Not the names themselves: each module is imported when its baseline is chosen.
from hfkit import baselines
from hfkit.arguments.parse import require_choice
from hfkit.arguments.recipe import RecipeArguments
from hfkit.baselines.base import PACKAGES, Baseline, require_package
from hfkit.baselines.prompting.label_texts import read_label_texts
from hfkit.contract.task import read_config
from hfkit.errors import UserError

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
        recipe.nli_checkpoint, recipe.hypothesis, read_label_texts(recipe.label_texts)
    ),
    "zero-shot-clip": lambda recipe: baselines.ZeroShotCLIP(
        recipe.clip_checkpoint, texts=read_label_texts(recipe.label_texts)
    ),
    "setfit": lambda recipe: baselines.SetFit(recipe.checkpoint, recipe.setfit_shots),
    "zero-shot-prompt": lambda recipe: baselines.ZeroShotPrompt(recipe.prompt_checkpoint, recipe.label_texts),
    "few-shot-prompt": lambda recipe: baselines.FewShotPrompt(
        recipe.prompt_checkpoint,
        recipe.label_texts,
        recipe.shots,
        recipe.demonstrations,
        recipe.prompt_orders,
        recipe.checkpoint,
    ),
}
# What some cannot do without: the flag of a checkpoint, and an example of one.
CHECKPOINTS = {
    "zero-shot-nli": ("nli_checkpoint", "facebook/bart-large-mnli"),
    "zero-shot-clip": ("clip_checkpoint", "openai/clip-vit-base-patch32"),
    "zero-shot-prompt": ("prompt_checkpoint", "HuggingFaceTB/SmolLM2-135M"),
    "few-shot-prompt": ("prompt_checkpoint", "HuggingFaceTB/SmolLM2-135M"),
}


def made(name: str, recipe: RecipeArguments, seed: int = 0) -> Baseline:
    """The baseline of a name among those that `require_flags` accepts; what it draws at random it draws with `seed`."""
    baseline = BASELINES[name](recipe)
    return replace(baseline, seed=seed) if baseline.seeded else baseline


def chosen(recipe: RecipeArguments, seed: int = 0) -> list[Baseline]:
    """The baselines that `--baseline` names, in its order; what they draw at random they draw with `seed`.

    Raises:
        UserError: as `require_flags`.
    """
    require_flags(recipe)
    return [made(name, recipe, seed) for name in recipe.baseline]


def require_flags(recipe: RecipeArguments) -> None:
    """Refuse baselines that there are not, that are named twice, or that lack a flag.

    Raises:
        UserError: naming the baseline, or the flag.
    """
    if len(set(recipe.baseline)) < len(recipe.baseline):
        raise UserError(f"baseline={recipe.baseline}", "each is compared once", "Name it once")
    for name in recipe.baseline:
        require_choice("baseline", name, BASELINES)
        flag, example = CHECKPOINTS.get(name, ("checkpoint", ""))
        if getattr(recipe, flag) is None:
            raise UserError(f"baseline '{name}'", f"it needs a checkpoint, by --{flag}", f"Try --{flag} {example}")
    read_label_texts(recipe.label_texts)


def require_baselines(recipe: RecipeArguments) -> None:
    """Refuse before the training what would be refused after it: a flag, a package or a checkpoint that is not there.

    No baseline is imported, for a run should reach its first step soon.

    Raises:
        UserError: naming what is missing.
    """
    require_flags(recipe)
    for name in recipe.baseline:
        if name in PACKAGES:
            require_package(name)
        if name in CHECKPOINTS:
            read_config(getattr(recipe, CHECKPOINTS[name][0]))
