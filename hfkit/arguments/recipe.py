"""The flags of every recipe: its starting point and the other contenders."""

from dataclasses import dataclass, field
from typing import Literal

from hfkit.arguments.hub_terms import BENCHMARK, LANGUAGE, LICENSES
from hfkit.arguments.ranges import refuse_outside
from hfkit.errors import UserError


@dataclass(frozen=True)
class RecipeArguments:
    """The starting point of a recipe, and its contenders."""

    checkpoint: str = field(
        default="sample", metadata={"help": "'sample', a model id on the Hub, or a folder with config.json"}
    )
    baseline: list[str] = field(
        default_factory=list,
        metadata={"help": "contenders without fine-tuning, by name (hfkit.baselines.BASELINES has them)"},
    )
    features_dir: str | None = field(
        default=None, metadata={"help": "folder to keep a frozen checkpoint's features in, for other runs' baselines"}
    )
    label_texts: str | None = field(
        default=None,
        metadata={"help": 'what labels are called in words, as JSON: {"label": "text"}; default: their names'},
    )
    nli_checkpoint: str | None = field(
        default=None, metadata={"help": "model of inference for the baseline zero-shot-nli"}
    )
    hypothesis: str = field(
        default="This example is {}.", metadata={"help": "what zero-shot-nli asks, with {} for a label's text"}
    )
    clip_checkpoint: str | None = field(
        default=None, metadata={"help": "dual encoder, such as CLIP or SigLIP, for the baseline zero-shot-clip"}
    )
    setfit_shots: int = field(default=8, metadata={"help": "rows of each class that the baseline setfit learns from"})
    prompt_checkpoint: str | None = field(
        default=None,
        metadata={"help": "language model of the prompts: 'sample-gpt2', 'smollm2', a model id, or a folder"},
    )
    shots: int = field(
        default=4, metadata={"help": "training rows that a prompt shows: of every class if balanced, else in all"}
    )
    demonstrations: Literal["balanced", "random", "nearest"] | None = field(
        default=None,
        metadata={"help": "which rows those are; default: balanced where a row has one class, else random"},
    )
    prompt_orders: int = field(
        default=5, metadata={"help": "draws of those rows and their order: the first answers, all give the spread"}
    )
    license: str | None = field(
        default=None, metadata={"help": "licence on the model card, such as apache-2.0; default: the checkpoint's"}
    )
    language: list[str] = field(
        default_factory=list,
        metadata={"help": "languages on the model card, such as en de; default: those that the dataset's card names"},
    )
    benchmark: str | None = field(
        default=None,
        metadata={"help": "benchmark of the Hub that the test rows are, as DATASET_ID:TASK_ID, for its leaderboard"},
    )

    def __post_init__(self) -> None:
        refuse_outside(self)
        if self.license is not None and self.license not in LICENSES:
            raise UserError(
                f"license='{self.license}'",
                "the Hub knows a licence by its own name, such as apache-2.0, mit or cc-by-4.0",
                "Take one of https://huggingface.co/docs/hub/repositories-licenses, or other",
            )
        for language in self.language:
            if not LANGUAGE.fullmatch(language):
                raise UserError(
                    f"language='{language}'",
                    "a language is a code of two or three letters, or multilingual",
                    "Write for example --language en de",
                )
        if self.benchmark is not None and not BENCHMARK.fullmatch(self.benchmark):
            raise UserError(
                f"benchmark='{self.benchmark}'",
                "it names a dataset on the Hub and a task in its eval.yaml",
                "Write for example --benchmark cais/hle:default",
            )
