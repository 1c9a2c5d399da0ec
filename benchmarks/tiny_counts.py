"""How many blocks an architecture has by its configuration: the other opinion on what was found in its structure."""

from collections.abc import Mapping
from typing import Any

ENCODER = ("encoder_layers", "encoder_num_hidden_layers", "num_encoder_layers", "encoder_num_layers")
DECODER = ("decoder_layers", "decoder_num_hidden_layers", "num_decoder_layers", "decoder_num_layers")
DEPTHS = ("stage_num_blocks", "depths", "num_blocks", "layers", "encoder_depths", "block_sizes")
ALL = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
PARTS = ("text_config", "thinker_config", "encoder", "decoder", "backbone_config", "vision_config")

# What the general rule does not know: architecture -> its blocks, from its paper or its code.
KNOWN: dict[str, int] = {
    "albert": 1,  # one group of shared layers
    "canine": 1 + 3 + 1,  # a transformer of one layer before and after, on characters
    "cohere_asr": 3 + 3,  # encoder_config and the decoder's own
    "cvt": 1 + 2 + 3,
    "git": 3 + 3,  # the image's tower and the text's
    "hrm_text": 3 + 3,  # two stacks that take turns
    "levit": 2 * 4 + 2 * 2,  # attention and MLP are residual layers each, also where a stage ends
    **dict.fromkeys(("seamless_m4t", "seamless_m4t_v2"), 3 + 1 + 3),  # speech encoder, its adapter, text decoder
    "t5gemma": 3 + 3,
    "whisper": 3,  # as an audio classifier it has no decoder
    # Backbone, encoder, two pyramids of two levels with three layers or branches each, decoder.
    **dict.fromkeys(("rt_detr", "rt_detr_v2"), 5 + 1 + 2 * 2 * 3 + 3),
    "perceiver": 3,  # num_self_attends_per_block
    **dict.fromkeys(("pp_doclayout_v3", "pp_doclayout_v4"), 6 + 1 + 2 * 2 * 3 + 3),
    **dict.fromkeys(("d_fine", "deimv2"), 6 + 1 + 2 * 2 * 2 + 3),
    "efficientnet": 8,  # 1, 2, 2, 3, 3, 4, 1, each scaled by 0.3 and rounded up
    **dict.fromkeys(("encoder-decoder", "speech-encoder-decoder"), 3 + 3),
}


def expected_blocks(name: str, model: Any) -> int | None:
    """The number of blocks; None if no key of the configuration says it."""
    if name in KNOWN:
        return KNOWN[name]
    if name.startswith("timm/"):
        return None
    return count_layers(
        model.config.to_dict() | {"num_hidden_layers": getattr(model.config, "num_hidden_layers", None)}
    )


def count_layers(config: Mapping[str, Any]) -> int | None:
    if sizes := config.get("conv_layer_kernel_sizes"):  # TextNet: one block for each kernel
        return sum(map(len, sizes))
    if stages := config.get("block_configs"):  # PP-LCNet: one block for each entry of a stage
        return sum(map(len, stages))
    encoder, decoder, every = (first_of(config, keys) for keys in (ENCODER, DECODER, ALL))
    if config.get("is_encoder_decoder") and decoder:
        return (encoder or every) + decoder + (count_layers(config.get("backbone_config") or {}) or 0)
    if stages := first_of(config, DEPTHS):
        return sum(stages) if isinstance(stages, list | tuple) else stages
    if every or encoder:
        return every or encoder
    for part in PARTS:
        if isinstance(config.get(part), Mapping) and (found := count_layers(config[part])):
            return found
    return None


def first_of(config: Mapping[str, Any], keys: tuple[str, ...]) -> Any:
    return next((config[key] for key in keys if config.get(key)), None)
