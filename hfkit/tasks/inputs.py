"""Tokenizers of models that read texts, and the inputs that such a model takes of those that they make."""

import inspect
from typing import Any

from transformers import PreTrainedConfig
from transformers import PreTrainedTokenizerBase as Tokenizer

from hfkit.data.text.tokenizers import limit_to_positions, load_tokenizer, refuse_other_vocabulary, separate_pairs
from hfkit.model.weights import read_config


def load_text_tokenizer(path: str, checkpoint: str, auto_model: Any) -> Tokenizer:
    """The tokenizer of a model of texts or pairs of them, which makes what the model takes and no longer than it reads.

    Args:
        checkpoint: as the user named it.
        auto_model: the AutoModelFor… class that makes the model.

    Raises:
        UserError: there is none, or it is that of another model.
    """
    # A "[SEP]" or "</s>" in a text does not end it: BART and T5 would pool there, or fail.
    options: dict[str, Any] = {"split_special_tokens": True}
    tokenizer, config = load_tokenizer(path, checkpoint, **options), read_config(path)
    names = inputs_taken(config, tokenizer.model_input_names, auto_model)
    if names != tokenizer.model_input_names:
        tokenizer = load_tokenizer(path, checkpoint, **options, model_input_names=names)
    refuse_other_vocabulary(tokenizer, config, checkpoint)
    limit_to_positions(tokenizer, config)
    separate_pairs(tokenizer)
    return tokenizer


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
