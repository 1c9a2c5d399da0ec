"""The inputs that a model of text takes, of those that its tokenizer makes."""

import inspect
from typing import Any

from transformers import PreTrainedConfig


def inputs_taken(config: PreTrainedConfig, names: list[str], auto_model: Any) -> list[str]:
    """The tokenizer's outputs that the model takes: a generic tokenizer gives token types to every model.

    Args:
        auto_model: the AutoModelFor… class that makes the model.
    """
    made = auto_model._model_mapping.get(type(config), None)
    if made is None:
        return names  # loading the model will be refused with a message
    taken = inspect.signature(made.forward).parameters
    # A model with one token type has no embedding for the second text of a pair.
    single = getattr(config, "type_vocab_size", None) == 1
    return [name for name in names if name in taken and not (single and name == "token_type_ids")]
