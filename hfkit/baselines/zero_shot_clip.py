"""Zero-shot classification of images: which label's sentence lies nearest to the picture?

Radford et al. 2021, "Learning Transferable Visual Models From Natural Language Supervision" (CLIP), and Zhai et al.
2023 (SigLIP).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from accelerate import PartialState
from datasets import Dataset, DatasetDict
from torch import Tensor
from torch.nn.functional import normalize
from transformers import AutoModelForZeroShotImageClassification, AutoTokenizer, PreTrainedModel
from transformers import PreTrainedTokenizerBase as Tokenizer

from hfkit.baselines.base import Answers, Baseline, column_of
from hfkit.baselines.logits import answers_of, refuse_alike, refuse_numbers
from hfkit.baselines.prompting.label_texts import label_texts
from hfkit.contract.task import Task
from hfkit.data.batches import rows_to_fetch
from hfkit.errors import UserError, first_line
from hfkit.model.weights import load_whole_model
from hfkit.progress import track
from hfkit.samples import resolve_checkpoint

KINDS = ("clip", "siglip")  # dual encoders with one vector for each side
# Prompts for photographs of any kind, of those that CLIP's authors ensembled.
TEMPLATES = (
    "a photo of a {}.",
    "a photo of the {}.",
    "a picture of a {}.",
    "a picture of the {}.",
    "a close-up photo of a {}.",
    "a bad photo of a {}.",
    "a photo of many {}.",
)
BATCH = 64  # images, or prompts


@dataclass(frozen=True)
class ZeroShotCLIP(Baseline):
    """A dual encoder compares each image with sentences about each label, whose embeddings are averaged.

    One label: the nearest. Several: those nearer than a threshold tuned on validation like every contender's.

    Args:
        templates: sentences with {} where the label's text goes.
        texts: what labels are called, where not by their names.
    """

    checkpoint: str
    templates: tuple[str, ...] = TEMPLATES
    texts: Mapping[str, str] = field(default_factory=dict)

    name: ClassVar[str] = "zero-shot CLIP"
    description: ClassVar[str] = "a dual encoder that compares images with sentences about the labels"

    def answers(self, task: Task, dataset: DatasetDict) -> Answers:
        """Predictions of every test row; probabilities are the softmax over the labels.

        Raises:
            UserError: the task has no images or no labels, or the checkpoint is no dual encoder.
        """
        column_of(dataset, "image", self.name)
        labels, processor = task.labels(dataset), task.processor(self.checkpoint)
        prepared = task.prepare(dataset, processor, labels)
        refuse_numbers(self.name, prepared)
        texts = label_texts(labels, self.texts)
        model = dual_encoder(self.checkpoint).to(PartialState().device)
        tokenizer = tokenizer_of(self.checkpoint)
        refuse_alike(labels, tokenizer(texts)["input_ids"])
        towards = directions(model, tokenizer, texts, self.templates)
        collator = task.collator(processor)

        def logits_of(split: str) -> np.ndarray:
            return compared(model, prepared[split], collator, towards, desc=f"{self.name}: {split}")

        return answers_of(task, logits_of, prepared, labels, {"templates": list(self.templates)})


def dual_encoder(checkpoint: str) -> PreTrainedModel:
    """A model with a vector for each image and for each text.

    Raises:
        UserError: it is of another kind, or cannot be loaded.
    """
    model = load_whole_model(AutoModelForZeroShotImageClassification, checkpoint, "clip_checkpoint")
    if model.config.model_type not in KINDS:
        raise UserError(
            f"clip_checkpoint '{checkpoint}'",
            f"a dual encoder is of the kind {', '.join(KINDS)}, and this is {model.config.model_type}",
            "Give another checkpoint",
        )
    return model


def tokenizer_of(checkpoint: str) -> Tokenizer:
    """The checkpoint's tokenizer.

    Raises:
        UserError: there is none.
    """
    try:
        return AutoTokenizer.from_pretrained(resolve_checkpoint(checkpoint), trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise UserError(
            f"clip_checkpoint '{checkpoint}'",
            f"its tokenizer could not be read ({first_line(error)})",
            "Give a folder or a Hub id that holds tokenizer.json",
        ) from error


@torch.no_grad()
def directions(model: PreTrainedModel, tokenizer: Tokenizer, texts: list[str], templates: Sequence[str]) -> Tensor:
    """Where each label lies: the mean of its prompts' unit vectors, made a unit vector again, (labels, features)."""
    longest = model.config.text_config.max_position_embeddings
    # SigLIP reads the last of so many tokens, padding or not.
    padding = "max_length" if model.config.model_type == "siglip" else True
    prompts = [template.replace("{}", text) for text in texts for template in templates]
    found = []
    for start in range(0, len(prompts), BATCH):
        batch = tokenizer(
            prompts[start : start + BATCH],
            padding=padding,
            truncation=True,
            max_length=min(longest, tokenizer.model_max_length),
            return_tensors="pt",
        ).to(model.device)
        found.append(normalize(model.get_text_features(**batch).pooler_output))
    return normalize(torch.cat(found).view(len(texts), len(templates), -1).mean(1))


@torch.no_grad()
def compared(model: PreTrainedModel, rows: Dataset, collator: Any, towards: Tensor, *, desc: str) -> np.ndarray:
    """Scaled cosines of every image and every label, (prepared rows, labels); images are decoded batch by batch."""
    bias = model.logit_bias if model.config.model_type == "siglip" else 0.0
    source, found = rows_to_fetch(rows), []
    for start in track(range(0, len(rows), BATCH), desc):
        batch = collator(source.__getitems__(list(range(start, min(start + BATCH, len(rows))))))
        seen = normalize(model.get_image_features(pixel_values=batch["pixel_values"].to(model.device)).pooler_output)
        found.append((seen @ towards.T * model.logit_scale.exp() + bias).float().cpu().numpy())
    return np.concatenate(found)
