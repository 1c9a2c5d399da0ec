"""Zero-shot classification of images: the label whose sentence lies nearest to the picture.

Radford et al. 2021, "Learning Transferable Visual Models From Natural Language Supervision" (CLIP), and Zhai et al.
2023 (SigLIP).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from accelerate import PartialState
from datasets import Dataset
from torch import Tensor
from torch.nn.functional import normalize
from transformers import AutoModelForZeroShotImageClassification, AutoTokenizer, PreTrainedModel
from transformers import PreTrainedTokenizerBase as Tokenizer

from hfkit.baselines.base import Answers, Baseline, column_of
from hfkit.baselines.logits import (
    answers_of,
    encode_splits,
    headline_on,
    probed_codec,
    refuse_alike,
    refuse_numbers,
)
from hfkit.baselines.prompting.label_texts import label_texts
from hfkit.contract.codec import Collator
from hfkit.contract.target import names_of
from hfkit.contract.task import Loaded, Task
from hfkit.data.batches import rows_to_fetch
from hfkit.errors import UserError, first_line
from hfkit.model.sources import open_checkpoint
from hfkit.model.weights import load_whole_model
from hfkit.progress import track

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
        texts: names in words, of labels that do not go by their own.
    """

    checkpoint: str
    templates: tuple[str, ...] = TEMPLATES
    texts: Mapping[str, str] = field(default_factory=dict)

    name: ClassVar[str] = "zero-shot CLIP"
    description: ClassVar[str] = "a dual encoder that compares images with sentences about the labels"

    def answers(self, task: Task, rows: Loaded) -> Answers:
        """Predictions of every test row; probabilities are the softmax over the labels.

        Raises:
            UserError: the task has no images or no labels, or the checkpoint is not a dual encoder.
        """
        column_of(rows, "image", self.name)
        codec = probed_codec(task, self.checkpoint, rows, self.name)
        encoded, labels = encode_splits(codec, rows), names_of(codec.target)
        refuse_numbers(self.name, encoded)
        texts = label_texts(labels, self.texts)
        model = load_dual_encoder(self.checkpoint).to(PartialState().device)
        tokenizer = load_text_tokenizer(self.checkpoint)
        refuse_alike(labels, tokenizer(texts)["input_ids"])
        towards = embed_labels(model, tokenizer, texts, self.templates)

        def logits_of(split: str) -> np.ndarray:
            return compare_images(model, encoded[split], codec.collate, towards, desc=f"{self.name}: {split}")

        headline = headline_on(task, rows["validation"])
        return answers_of(codec, logits_of, encoded, headline, {"templates": list(self.templates)})


def load_dual_encoder(checkpoint: str) -> PreTrainedModel:
    """A model with a vector for each image and for each text.

    Raises:
        UserError: it is another kind of model, or cannot be loaded.
    """
    model = load_whole_model(AutoModelForZeroShotImageClassification, checkpoint, "clip_checkpoint")
    if model.config.model_type not in KINDS:
        raise UserError(
            f"clip_checkpoint '{checkpoint}'",
            f"a dual encoder is of the kind {', '.join(KINDS)}, and this is {model.config.model_type}",
            "Give another checkpoint",
        )
    return model


def load_text_tokenizer(checkpoint: str) -> Tokenizer:
    """The checkpoint's tokenizer.

    Raises:
        UserError: there is none.
    """
    try:
        return AutoTokenizer.from_pretrained(open_checkpoint(checkpoint), trust_remote_code=False)
    except Exception as error:  # of any kind, as the libraries that read it have them
        raise UserError(
            f"clip_checkpoint '{checkpoint}'",
            f"its tokenizer could not be read ({first_line(error)})",
            "Give a folder or a Hub id that holds tokenizer.json",
        ) from error


@torch.no_grad()
def embed_labels(model: PreTrainedModel, tokenizer: Tokenizer, texts: list[str], templates: Sequence[str]) -> Tensor:
    """The direction of each label: the mean of its prompts' unit vectors, scaled to one again, (labels, features)."""
    longest = model.config.text_config.max_position_embeddings
    # SigLIP reads the last of all these tokens, padding or not.
    padding = "max_length" if model.config.model_type == "siglip" else True
    prompts = [template.replace("{}", text) for text in texts for template in templates]
    vectors = []
    for start in range(0, len(prompts), BATCH):
        batch = tokenizer(
            prompts[start : start + BATCH],
            padding=padding,
            truncation=True,
            max_length=min(longest, tokenizer.model_max_length),
            return_tensors="pt",
        ).to(model.device)
        vectors.append(normalize(model.get_text_features(**batch).pooler_output))
    return normalize(torch.cat(vectors).view(len(texts), len(templates), -1).mean(1))


@torch.no_grad()
def compare_images(
    model: PreTrainedModel, encoded: Dataset, collate: Collator, towards: Tensor, *, desc: str
) -> np.ndarray:
    """Scaled cosines of every image and every label, (encoded rows, labels); images are decoded batch by batch."""
    bias = model.logit_bias if model.config.model_type == "siglip" else 0.0
    source, logits = rows_to_fetch(encoded), []
    for start in track(range(0, len(encoded), BATCH), desc):
        batch = collate(source.__getitems__(list(range(start, min(start + BATCH, len(encoded))))))
        images = model.get_image_features(pixel_values=batch["pixel_values"].to(model.device)).pooler_output
        cosines = normalize(images) @ towards.T
        logits.append((cosines * model.logit_scale.exp() + bias).float().cpu().numpy())
    return np.concatenate(logits)
