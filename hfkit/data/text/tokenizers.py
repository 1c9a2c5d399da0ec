"""Tokenizers of checkpoints, refused if they cannot read."""

from typing import Any

from tokenizers.processors import TemplateProcessing
from transformers import AutoTokenizer, PreTrainedConfig
from transformers import PreTrainedTokenizerBase as Tokenizer

from hfkit.data.text.endless import refuse_endless, refuse_growing
from hfkit.errors import UserError, first_line

COUNTED_BEHIND_PADDING = (
    "camembert",
    "data2vec-text",
    "ibert",
    "layoutlmv3",
    "lilt",
    "longformer",
    "luke",
    "markuplm",
    "mpnet",
    "roberta",
    "roberta-prelayernorm",
    "xlm-roberta",
    "xlm-roberta-xl",
    "xmod",
)


def load_tokenizer(path: str, checkpoint: str, **options: Any) -> Tokenizer:
    """The tokenizer in `path`, with a padding token: the end token if it has none of its own.

    Args:
        checkpoint: as the user named it.

    Raises:
        UserError: there is none, it knows no words, or it has no token to pad with.
    """
    named = f"checkpoint '{checkpoint}'"
    refuse_endless(path, named)
    try:
        tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=False, **options)
        if tokenizer.is_fast:
            refuse_growing(tokenizer.backend_tokenizer, named)
        if (first := tokenizer.model_input_names[0]) not in tokenizer("a"):
            raise ValueError(f"it makes no '{first}', its first input of a model")
    except UserError:
        raise
    # Of any kind: the libraries that read it compute with its values before they have looked at them.
    except Exception as error:
        raise UserError(
            f"checkpoint '{checkpoint}'",
            f"its tokenizer could not be read ({first_line(error)})",
            "Give a folder or a Hub id that holds tokenizer.json",
        ) from error
    # Saved with the tokenizer, it would name files that are not there.
    tokenizer.init_kwargs.pop("auto_map", None)
    longest = tokenizer.model_max_length
    if not isinstance(longest, int | float) or not longest > 0:
        raise UserError(
            f"{named}: tokenizer_config.json",
            f"model_max_length is a number above 0, and here it is {longest!r}",
            "Mend it, or leave it out",
        )
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


def positions_of(config: PreTrainedConfig) -> int:
    """The number of tokens that the model's table of positions holds; -1 if it has none."""
    config = config.get_text_config()
    positions = getattr(config, "max_position_embeddings", None) or -1
    # RoBERTa and its relatives start counting positions after the padding id, within a table of that size.
    behind = config.model_type in COUNTED_BEHIND_PADDING
    # ESM does so in its table, but not where positions are rotated into the attention.
    behind |= config.model_type == "esm" and config.position_embedding_type == "absolute"
    return positions - config.pad_token_id - 1 if behind else positions


def refuse_other_vocabulary(tokenizer: Tokenizer, config: PreTrainedConfig, checkpoint: str) -> None:
    """Refuse a tokenizer that makes numbers which the model has no embedding for: it is another model's.

    Tokens that were added later are passed over: many tokenizers have some that no text of theirs holds.

    Raises:
        UserError: naming the token.
    """
    known = getattr(config.get_text_config(), "vocab_size", None)
    if not isinstance(known, int) or known < 1:  # models of characters have none
        return
    added = tokenizer.get_added_vocab()
    token, number = max(tokenizer.get_vocab().items(), key=lambda item: -1 if item[0] in added else item[1])
    if number >= known and token not in added:
        raise UserError(
            f"checkpoint '{checkpoint}'",
            f"its model knows {known:,} tokens, and its tokenizer has the number {number:,} for {token!r}",
            "Save the tokenizer of the same model beside it",
        )


def limit_to_positions(tokenizer: Tokenizer, config: PreTrainedConfig) -> None:
    """Let the tokenizer know how many tokens the model reads: many name no limit (10^30), others a larger one.

    This is saved with the tokenizer: a pipeline cuts texts off by it, and fails on longer ones without it.
    """
    positions = positions_of(config)
    if 0 < positions < tokenizer.model_max_length:
        tokenizer.model_max_length = positions


def separate_pairs(tokenizer: Tokenizer) -> None:
    """Put the end token between the texts of a pair if the tokenizer would glue them together, as GPT-2's does.

    This is saved with the tokenizer, so that a pipeline reads pairs in the same way.
    """
    added = [tokenizer.num_special_tokens_to_add(pair=pair) for pair in (False, True)]
    if any(added) or not tokenizer.is_fast or tokenizer.eos_token is None:
        return
    end = tokenizer.eos_token
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="$A", pair=["$A", end, "$B"], special_tokens=[(end, tokenizer.eos_token_id)]
    )


def find_readable_marks(tokenizer: Tokenizer) -> tuple[str, ...]:
    """The special tokens that a tokenizer also reads in plain text: Unigram models have them as pieces."""
    ids = dict(zip(tokenizer.all_special_tokens, tokenizer.all_special_ids, strict=True))
    ids.pop(tokenizer.unk_token, None)
    return tuple(
        mark
        for mark, number in ids.items()
        if len(mark) > 1 and number in tokenizer(mark, add_special_tokens=False)["input_ids"]
    )


def spell_out(text: str, marks: tuple[str, ...]) -> str:
    """The text with a space inside every mark, so that it is no token: T5 and BART count the end tokens of a row."""
    for mark in marks:
        text = text.replace(mark, f"{mark[0]} {mark[1:]}")
    return text
