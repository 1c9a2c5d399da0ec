"""Word dropout: words hidden in training, so that the model must use their context."""

from dataclasses import dataclass

import torch
from torch import Tensor

from hfkit.data.seeding import seed_draws
from hfkit.data.text.padding import PaddedTexts


@dataclass
class WordDropout(PaddedTexts):
    """Replaces whole words by the mask token: unknown entities can only be recognised by their context.

    Source: word dropout of Iyyer et al. 2015, section 3.3, with the encoder's own mask token instead of deletion.
    """

    share: float = 0.0  # of the words
    seed: int = 0
    epoch: int = 0

    def __call__(self, features: list[dict]) -> dict[str, Tensor]:
        batch = super().__call__(features)
        ids, first = batch["input_ids"], batch["labels"] != -100
        word = first.cumsum(1)  # (batch, tokens): 0 before the first word, then its number
        with seed_draws(self.seed, self.epoch, *(row["row"] for row in features)):
            dropped = torch.rand(len(ids), int(word.max()) + 1) < self.share
        special = torch.isin(ids, torch.tensor(self.tokenizer.all_special_ids))
        hidden = dropped.gather(1, word) & (word > 0) & ~special
        return {**batch, "input_ids": ids.masked_fill(hidden, self.tokenizer.mask_token_id)}
