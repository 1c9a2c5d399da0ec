"""Language models of checkpoints, refused where they cannot be prompted."""

import json

from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers import PreTrainedTokenizerBase as Tokenizer

from hfkit.baselines.prompting.templates import refuse_endless
from hfkit.data.text.tokenizers import load_tokenizer, positions_of
from hfkit.errors import UserError
from hfkit.model.sources import open_checkpoint
from hfkit.model.weights import load_whole_model
from hfkit.progress import loading


@loading()
def load_language_model(checkpoint: str) -> tuple[PreTrainedModel, Tokenizer]:
    """A causal language model in fp32 and its tokenizer: safetensors only, no remote code.

    Raises:
        UserError: it cannot be loaded, it is another kind of model, or its tokenizer cannot say where in a text a
            token stands.
    """
    model = load_whole_model(AutoModelForCausalLM, checkpoint, "prompt_checkpoint")
    tokenizer = load_tokenizer(open_checkpoint(checkpoint), checkpoint)
    if not tokenizer.is_fast:
        raise UserError(
            f"prompt_checkpoint '{checkpoint}'",
            f"its tokenizer ({type(tokenizer).__name__}) cannot say where in a text a token stands",
            "Use a checkpoint with a fast tokenizer (tokenizer.json)",
        )
    if isinstance(tokenizer.chat_template, str):
        tokens = json.dumps(tokenizer.special_tokens_map, default=str)
        refuse_endless(tokenizer.chat_template, f"prompt_checkpoint '{checkpoint}'", tokens)
    return model, tokenizer


def longest_prompt(model: PreTrainedModel, tokenizer: Tokenizer) -> int:
    """The number of tokens that the model reads at once, the answer included."""
    positions = positions_of(model.config)
    return min(tokenizer.model_max_length, positions) if positions > 0 else tokenizer.model_max_length
