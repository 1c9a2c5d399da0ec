"""Language models as checkpoints bring them, refused where they cannot be prompted."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers import PreTrainedTokenizerBase as Tokenizer

from ..errors import UserError
from ..progress import loading
from ..samples import resolve_checkpoint
from ..tasks.base import first_line, load_tokenizer, positions_of, read_config, refuse_shards_elsewhere


@loading()
def load_language_model(checkpoint: str) -> tuple[PreTrainedModel, Tokenizer]:
    """A causal language model in fp32 and its tokenizer: safetensors only, no remote code.

    Raises:
        UserError: it cannot be loaded, is none, or its tokenizer cannot say where in a text a token stands.
    """
    path = resolve_checkpoint(checkpoint)
    config = read_config(path)
    for index in ("model.safetensors.index.json", getattr(config, "transformers_weights", None)):
        if index and index.endswith(".index.json"):
            refuse_shards_elsewhere(Path(path, index))
    try:
        model, info = AutoModelForCausalLM.from_pretrained(
            path,
            config=config,
            dtype=torch.float32,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except (OSError, ValueError, TypeError, RuntimeError, SafetensorError) as error:
        raise UserError(
            f"prompt_checkpoint '{checkpoint}'",
            f"AutoModelForCausalLM cannot load it ({first_line(error)})",
            "Give a folder or a Hub id of a language model with a whole model.safetensors",
        ) from error
    if info["missing_keys"]:
        raise UserError(
            f"prompt_checkpoint '{checkpoint}'",
            f"it has no weights for {', '.join(sorted(info['missing_keys'])[:3])}",
            "Give a checkpoint that was trained to go on with a text",
        )
    tokenizer = load_tokenizer(path, checkpoint)
    if not tokenizer.is_fast:
        raise UserError(
            f"prompt_checkpoint '{checkpoint}'",
            f"its tokenizer ({type(tokenizer).__name__}) cannot say where in a text a token stands",
            "Use a checkpoint with a fast tokenizer (tokenizer.json)",
        )
    return model.eval(), tokenizer


def longest_prompt(model: PreTrainedModel, tokenizer: Tokenizer) -> int:
    """Tokens that the model reads at once, the answer included."""
    positions = positions_of(model.config)
    return min(tokenizer.model_max_length, positions) if positions > 0 else tokenizer.model_max_length
