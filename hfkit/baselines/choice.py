"""Baselines by their names on the command line, made from the flags of a recipe."""

from collections.abc import Callable
from dataclasses import replace

# Not the classes themselves: each module is imported when its baseline is chosen.
from hfkit import baselines
from hfkit.arguments.parse import require_choice
from hfkit.arguments.recipe import RecipeArguments
from hfkit.baselines.base import PACKAGES, Baseline, require_package
from hfkit.baselines.prompting.label_texts import read_label_texts
from hfkit.errors import UserError
from hfkit.model.weights import read_config

BASELINES: dict[str, Callable[[RecipeArguments], Baseline]] = {
    "majority": lambda recipe: baselines.Majority(),
    "lexicon": lambda recipe: baselines.Lexicon(),
    "word-tags": lambda recipe: baselines.WordTags(),
    "lead-1": lambda recipe: baselines.Lead(1),
    "lead-3": lambda recipe: baselines.Lead(3),
    "copy": lambda recipe: baselines.Copy(),
    "tf-idf": lambda recipe: baselines.TfIdf(),
    "n-grams": lambda recipe: baselines.NGrams(),
    "untouched": lambda recipe: baselines.Untouched(recipe.checkpoint),
    "kneser-ney": lambda recipe: baselines.ByteCounter(),
    "likest-sentence": lambda recipe: baselines.LikestSentence(),
    "near-words": lambda recipe: baselines.NearWords(),
    "likest-option": lambda recipe: baselines.LikestOption(),
    "longest-option": lambda recipe: baselines.LongestOption(),
    "majority-place": lambda recipe: baselines.MajorityPlace(),
    "mean-boxes": lambda recipe: baselines.MeanBoxes(),
    "pixels": lambda recipe: baselines.PixelProbe(),
    "pixel-colours": lambda recipe: baselines.PixelColours(),
    "hog": lambda recipe: baselines.Hog(),
    "linear-probe": lambda recipe: baselines.LinearProbe(recipe.checkpoint, recipe.features_dir),
    "patch-probe": lambda recipe: baselines.PatchProbe(recipe.checkpoint),
    "region-probe": lambda recipe: baselines.RegionProbe(recipe.checkpoint),
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
    "decision": lambda recipe: baselines.Decision(recipe.prompt_checkpoint, recipe.label_texts),
}
# Baselines that need a checkpoint of their own: its flag, and an example.
CHECKPOINTS = {
    "zero-shot-nli": ("nli_checkpoint", "facebook/bart-large-mnli"),
    "zero-shot-clip": ("clip_checkpoint", "openai/clip-vit-base-patch32"),
    "zero-shot-prompt": ("prompt_checkpoint", "HuggingFaceTB/SmolLM2-135M"),
    "few-shot-prompt": ("prompt_checkpoint", "HuggingFaceTB/SmolLM2-135M"),
    "decision": ("prompt_checkpoint", "HuggingFaceTB/SmolLM2-135M-Instruct"),
}


def make_baseline(name: str, recipe: RecipeArguments, seed: int = 0) -> Baseline:
    """A baseline by a name that `require_flags` accepts; it draws with `seed`."""
    baseline = BASELINES[name](recipe)
    return replace(baseline, seed=seed) if baseline.seeded else baseline


def choose_baselines(recipe: RecipeArguments, seed: int = 0) -> list[Baseline]:
    """The baselines that `--baseline` names, in its order; they draw with `seed`.

    A recipe calls this first, so that a missing flag, package or checkpoint shows before training and not after it.

    Raises:
        UserError: naming what is wrong or missing.
    """
    require_flags(recipe)
    for name in recipe.baseline:
        if name in PACKAGES:
            require_package(name)
        if name in CHECKPOINTS:
            read_config(getattr(recipe, CHECKPOINTS[name][0]))
    return [make_baseline(name, recipe, seed) for name in recipe.baseline]


def require_flags(recipe: RecipeArguments) -> None:
    """Refuse baselines that do not exist, that are named twice, or that lack a flag.

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
