"""Tokenizers as checkpoints bring them, refused where they cannot read."""

from typing import Any

from transformers import AutoTokenizer
from transformers import PreTrainedTokenizerBase as Tokenizer

from ..errors import UserError
from .files import first_line


def load_tokenizer(path: str, checkpoint: str, **options: Any) -> Tokenizer:
    """The tokenizer in `path`, with a padding token: the end token where it has none of its own.

    Args:
        checkpoint: what the user called it.

    Raises:
        UserError: there is none, it knows no words, or it has no token to pad with.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=False, **options)
    except (OSError, ValueError) as error:
        raise UserError(
            f"checkpoint '{checkpoint}'",
            f"its tokenizer could not be read ({first_line(error)})",
            "Give a folder or a Hub id that holds tokenizer.json",
        ) from error
    if len(set(tokenizer.get_vocab()) - set(tokenizer.all_special_tokens)) < 2:
        # Without any vocabulary file, transformers builds an empty tokenizer that reads every word as unknown.
        raise UserError(
            f"checkpoint '{checkpoint}'",
            "its tokenizer knows no words: the vocabulary was not found",
            "Save the tokenizer beside the model (tokenizer.json)",
        )
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    if tokenizer.pad_token is None:
        raise UserError(
            f"checkpoint '{checkpoint}'",
            "its tokenizer has no token to pad with, and no end token to take instead",
            "Name one as pad_token in tokenizer_config.json",
        )
    return tokenizer
