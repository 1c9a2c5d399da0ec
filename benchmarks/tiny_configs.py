"""Small configurations for any architecture of transformers: the default one, with every size turned down.

A few architectures tie their sizes to each other in ways that no rule finds; `OVERRIDES` has what they need.
"""

from typing import Any

from transformers import CONFIG_MAPPING, PreTrainedConfig

HIDDEN, HEADS, LAYERS, VOCABULARY = 32, 4, 3, 120
# Key of a configuration -> its small value; a list is cut or filled to its old length.
SMALL: dict[str, int] = {
    **dict.fromkeys(("hidden_size", "d_model", "n_embd", "dim", "dim_model", "emb_dim", "width"), HIDDEN),
    **dict.fromkeys(("embedding_size", "char_embedding_size", "hidden_dim", "encoder_hidden_size"), HIDDEN),
    **dict.fromkeys(("decoder_hidden_size", "attention_hidden_size", "d_embed", "input_embedding_size"), HIDDEN),
    **dict.fromkeys(("conv_dim", "output_hidden_size", "classifier_proj_size", "projection_dim", "proj_size"), HIDDEN),
    **dict.fromkeys(("num_attention_heads", "n_head", "n_heads", "num_heads", "encoder_attention_heads"), HEADS),
    **dict.fromkeys(("decoder_attention_heads", "num_encoder_attention_heads", "mamba_n_heads"), HEADS),
    **dict.fromkeys(("num_decoder_attention_heads", "num_linear_attention_heads", "attention_heads"), HEADS),
    **dict.fromkeys(("num_key_value_heads", "n_kv_heads", "num_kv_heads", "multi_query_group_num"), 2),
    **dict.fromkeys(("head_dim", "d_kv", "attention_head_size", "kv_channels", "d_head", "mamba_d_head"), 8),
    **dict.fromkeys(("num_hidden_layers", "n_layer", "n_layers", "num_layers", "encoder_layers"), LAYERS),
    **dict.fromkeys(("num_encoder_layers", "decoder_layers", "num_decoder_layers", "decoder_num_layers"), LAYERS),
    **dict.fromkeys(("encoder_num_hidden_layers", "decoder_num_hidden_layers", "speech_encoder_layers"), LAYERS),
    **dict.fromkeys(("entity_vocab_size", "vocab_size_per_layer_input"), VOCABULARY),
    **dict.fromkeys(("entity_emb_size",), HIDDEN),
    **dict.fromkeys(("intermediate_size", "ffn_dim", "d_ff", "d_inner", "encoder_ffn_dim", "decoder_ffn_dim"), 64),
    **dict.fromkeys(("ffn_hidden_size", "dim_ff", "n_inner", "encoder_intermediate_size"), 64),
    **dict.fromkeys(("moe_intermediate_size", "shared_expert_intermediate_size", "decoder_intermediate_size"), 32),
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"), 4),
    **dict.fromkeys(("num_experts_per_tok", "num_experts_per_token", "moe_topk", "moe_k"), 2),
    **dict.fromkeys(("q_lora_rank", "kv_lora_rank"), 16),
    **dict.fromkeys(("qk_rope_head_dim", "qk_nope_head_dim", "v_head_dim"), 8),
    **dict.fromkeys(("max_position_embeddings", "n_positions", "max_source_positions"), 160),
    **dict.fromkeys(("max_target_positions", "n_ctx"), 160),
    **dict.fromkeys(("image_size", "img_size"), 64),
    "vocab_size": VOCABULARY,
    "embed_dim": 48,  # Swin's heads are 3, 6, 12, 24
    "n_group": 1,
    "topk_group": 1,
    "num_queries": 6,
}
LISTS = {"hidden_sizes", "embed_dims", "embed_dim", "encoder_hidden_sizes", "conv_dim", "neck_hidden_sizes", "dims"}
DEPTHS = {"depths", "num_blocks", "layers", "encoder_depths", "depth"}

RESNET = {"model_type": "resnet", "embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1]}
BACKBONE = {"use_timm_backbone": False, "backbone_config": RESNET | {"out_features": ["stage2"]}}
OVERRIDES: dict[str, dict[str, Any]] = {
    "bamba": {"mamba_n_heads": 8, "attn_layer_indices": [1]},
    "bros": {"hidden_size": 128},
    "codegen": {"rotary_dim": 4},
    "cohere_compass_text": {"layer_types": None},
    "conditional_detr": BACKBONE,
    "cvt": {"depth": [1, 2, 3], "embed_dim": [16, 32, 48], "num_heads": [1, 2, 3]},
    "dab-detr": BACKBONE,
    "detr": BACKBONE,
    "deepseek_v2": {"num_experts_per_tok": 2, "n_shared_experts": 1},
    "xmod": {"default_language": "en_XX"},
    "table-transformer": BACKBONE,
    "deformable_detr": {
        "use_timm_backbone": False,
        "backbone_config": RESNET
        | {"hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1], "out_features": ["stage2", "stage3", "stage4"]},
        "num_feature_levels": 3,
    },
    "dots1": {"n_routed_experts": 4, "head_dim": 8, "n_shared_experts": 1, "num_experts_per_tok": 2},
    "dpt": {"num_hidden_layers": 4, "backbone_out_indices": [0, 1, 2, 3], "neck_hidden_sizes": [16, 16, 16, 16]},
    "efficientnet": {"width_coefficient": 0.1, "depth_coefficient": 0.3, "hidden_dim": 128},
    "align": {"width_coefficient": 0.1},
    "esm": {"vocab_size": VOCABULARY, "pad_token_id": 1},
    "gemma3n_text": {
        "vocab_size_per_layer_input": VOCABULARY,
        "num_kv_shared_layers": 0,
        "layer_types": ["sliding_attention", "sliding_attention", "full_attention"],
    },
    "gemma4_text": {"vocab_size_per_layer_input": VOCABULARY, "num_kv_shared_layers": 0},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]], "num_layers": 2},
    "gptj": {"rotary_dim": 4},
    "granitemoehybrid": {"mamba_n_heads": 8, "layer_types": ["mamba", "attention", "mamba"]},
    "hunyuan_v1_dense": {"head_dim": 8},
    "hunyuan_v1_moe": {"head_dim": 8},
    "jamba": {"num_hidden_layers": 4, "attn_layer_offset": 1, "attn_layer_period": 2},
    "lfm2_moe": {"layer_types": ["conv", "full_attention", "conv"]},
    "gemma3n": {"text_config": {"model_type": "gemma3n_text"}},
    "reformer": {"axial_pos_embds_dim": [16, 16], "axial_pos_shape": [8, 16], "attention_head_size": 8},
    "perceiver": {"num_latents": 8, "d_latents": 32, "d_model": 32, "num_self_attends_per_block": 3},
    "lilt": {"hidden_size": 48},
    "mamba2": {"num_heads": 8, "head_dim": 8, "n_groups": 1},
    "ministral": {"head_dim": 8},
    "nemotron": {"num_key_value_heads": 2},
    "layoutlmv3": {"hidden_size": 48, "num_attention_heads": 4, "coordinate_size": 8, "shape_size": 8},
}


def shrink(values: dict[str, Any], level: int) -> dict[str, Any]:
    """The changes to a configuration that make it small. A lower level changes less."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if key.endswith("_token_id") and isinstance(value, int) and value >= VOCABULARY:
            found[key] = {"pad": 0, "bos": 1, "eos": 2}.get(key.split("_")[0], 3)
        elif isinstance(value, dict) and "model_type" in value:
            kind = value["model_type"]
            found[key] = value | shrink(value, level) | OVERRIDES.get(kind, {})
        elif isinstance(value, bool) or value is None:
            continue
        elif isinstance(value, int) and key in SMALL and value > SMALL[key]:
            if level or key not in ("image_size", "img_size"):
                found[key] = SMALL[key]
        elif isinstance(value, list | tuple) and value and all(isinstance(v, int) for v in value):
            if key in DEPTHS:
                found[key] = [2, *[1] * (len(value) - 1)]
            elif key in LISTS and level:
                found[key] = [16 * (i + 1) for i in range(len(value))] if len(set(value)) > 1 else [16] * len(value)
    if "layer_types" in values and values["layer_types"]:
        kinds = list(dict.fromkeys(values["layer_types"]))
        found["layer_types"] = (kinds * LAYERS)[:LAYERS]
    if "kv_lora_rank" in values and found.get("num_key_value_heads"):
        found["num_key_value_heads"] = HEADS
    return found


def make_config(model_type: str, level: int = 1) -> PreTrainedConfig:
    """The small configuration of an architecture."""
    default = CONFIG_MAPPING[model_type]()
    changes = shrink(default.to_dict(), level) | OVERRIDES.get(model_type, {})
    for key, value in changes.items():
        if isinstance(value, dict) and set(value) == {"model_type"}:
            changes[key] = make_config(value["model_type"], level).to_dict()
    return CONFIG_MAPPING[model_type](**changes)
