"""Batches of tokenised texts: rows of different lengths padded into tensors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from accelerate import PartialState
from torch import Tensor
from transformers import PreTrainedTokenizerBase as Tokenizer

IGNORED = -100  # the label of tokens that the loss ignores
ON_GPU = 8  # tokens; tensor cores need widths like this, while a CPU would only compute more padding


def padding_multiple() -> int:
    """The number of tokens to pad to a multiple of on this device."""
    return ON_GPU if PartialState().device.type == "cuda" else 1


@dataclass
class PaddedTexts:
    """Encoded rows -> the model's inputs, padded to the longest row on the tokenizer's side.

    Rows may have other columns, and a list of numbers may be an array. Labels of tokens are padded with -100 and
    `word_starts` with 0; labels of rows (a number, or equally many in every row) are stacked.
    """

    tokenizer: Tokenizer
    token_labels: bool = False
    multiple: int = field(default_factory=padding_multiple)  # tokens; never beyond what the model reads

    def __post_init__(self) -> None:
        fillings = {
            self.tokenizer.model_input_names[0]: self.tokenizer.pad_token_id,
            "token_type_ids": self.tokenizer.pad_token_type_id,
            "special_tokens_mask": 1,
        }
        self.fillings = {name: fillings.get(name, 0) for name in self.tokenizer.model_input_names}
        if self.token_labels:
            self.fillings |= {"labels": IGNORED, "word_starts": 0}

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        longest = max(len(row[self.tokenizer.model_input_names[0]]) for row in rows)
        width = -(-longest // self.multiple) * self.multiple
        width = max(longest, min(width, self.tokenizer.model_max_length))
        left = self.tokenizer.padding_side == "left"
        batch = {}
        for name, filling in self.fillings.items():
            if name in rows[0]:
                padded = np.full((len(rows), width), filling, dtype=np.int64)
                for places, row in zip(padded, rows, strict=True):
                    values = row[name]
                    if left:
                        places[width - len(values) :] = values
                    else:
                        places[: len(values)] = values
                batch[name] = torch.from_numpy(padded)
        if "labels" in rows[0] and not self.token_labels:
            batch["labels"] = torch.tensor(np.array([row["labels"] for row in rows]).tolist())
        return batch
