"""Every family of hfkit.model.families as a tiny random checkpoint; tests/recipes/test_families.py proves them all.

A checkpoint is what the Hub has: a base model with its tokenizer, a classifier of five other labels with its image
processor, or timm's own format.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
import transformers as hf
from safetensors.torch import save_file
from timm import create_model
from tokenizers import processors
from torch import nn

from hfkit.model import families
from tests.tiny import text as tiny

SIZES = {"hidden_size": 16, "num_attention_heads": 2, "num_hidden_layers": 3, "intermediate_size": 32}
DECODER = SIZES | {"num_key_value_heads": 1, "head_dim": 8, "max_position_embeddings": 64}
BART = {
    "d_model": 16,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
    "max_position_embeddings": 64,
}
# Positions are counted from the id of the padding token, which is a large one here.
ROBERTA_SIZES = {"max_position_embeddings": 600, "type_vocab_size": 1}
PRETRAINED_LABELS = 5


class Tiny(NamedTuple):
    """How a tiny checkpoint is built."""

    blocks: int  # how many depths lie between the embeddings or stem and the head
    config: Callable[[], hf.PreTrainedConfig]
    processor: Callable[[], object] | None = None  # tokenizer or image processor; timm has it in its configuration


@dataclass(frozen=True, kw_only=True)
class Family(families.Family):
    """A family with its tiny checkpoint."""

    blocks: int
    config: Callable[[], hf.PreTrainedConfig]
    processor: Callable[[], object] | None

    def pretrained(self) -> nn.Module:
        """What the checkpoint is made of: random weights, the same on every call."""
        torch.manual_seed(0)
        config = self.config()
        if isinstance(config, hf.TimmWrapperConfig):
            return create_model(config.architecture, num_classes=PRETRAINED_LABELS, **config.model_args)
        if self.modality == "image":
            config.num_labels = PRETRAINED_LABELS
            return hf.AutoModelForImageClassification.from_config(config)
        tokenizer = self.processor()
        config.vocab_size = len(tokenizer)
        for kind in ("pad", "bos", "eos"):
            setattr(config, f"{kind}_token_id", getattr(tokenizer, f"{kind}_token_id"))
        return hf.AutoModel.from_config(config)

    def save(self, model: nn.Module, folder: Path) -> str:
        """The checkpoint of `pretrained()`, with its tokenizer or image processor, in `folder`."""
        config = self.config()
        if isinstance(config, hf.TimmWrapperConfig):
            save_as_timm(model, config, folder)
        else:
            model.save_pretrained(folder)
            self.processor().save_pretrained(folder)
        return str(folder)


def save_as_timm(model: nn.Module, config: hf.TimmWrapperConfig, folder: Path) -> None:
    """The files of timm's own checkpoints: its names of weights, and a config.json without model_type."""
    save_file(model.state_dict(), folder / "model.safetensors")
    shown = {"input_size": (3, config.image_size, config.image_size), "crop_pct": 1.0, "interpolation": "bicubic"}
    written = {
        "architecture": config.architecture,
        "num_classes": PRETRAINED_LABELS,
        "num_features": model.num_features,
        "model_args": config.model_args,
        "pretrained_cfg": shown | {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)},
    }
    (folder / "config.json").write_text(json.dumps(written))


def tokenizer(
    base: Callable[[], hf.PreTrainedTokenizerFast],
    template: str,
    *,
    pair: str | None = None,
    token_types: bool = False,
    padding_side: str = "right",
    **special: str,
) -> Callable[[], hf.PreTrainedTokenizerFast]:
    """A tiny tokenizer with the special tokens and the frame of a family."""

    def build() -> hf.PreTrainedTokenizerFast:
        backend = base().backend_tokenizer
        backend.add_special_tokens(list(special.values()))
        tokens = [word.partition(":")[0] for word in template.split() if not word.startswith("$")]
        backend.post_processor = processors.TemplateProcessing(
            single=template,
            pair=pair,
            special_tokens=[(token, backend.token_to_id(token)) for token in dict.fromkeys(tokens)],
        )
        return hf.PreTrainedTokenizerFast(
            tokenizer_object=backend,
            padding_side=padding_side,
            model_max_length=64,
            model_input_names=["input_ids", *(["token_type_ids"] if token_types else []), "attention_mask"],
            **special,
        )

    return build


BERT = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
ROBERTA = {"pad_token": "<pad>", "cls_token": "<s>", "sep_token": "</s>", "bos_token": "<s>", "eos_token": "</s>"}
CLASSED, ROBERTAS = "[CLS] $A [SEP] $B:1 [SEP]:1", "<s> $A </s> </s> $B </s>"  # pairs
wordpiece = tokenizer(tiny.wordpiece, "[CLS] $A [SEP]", pair=CLASSED, token_types=True, **BERT)
wordpiece_alone = tokenizer(tiny.wordpiece, "[CLS] $A [SEP]", pair=CLASSED, **BERT)
bytes_framed = tokenizer(tiny.byte_bpe, "<s> $A </s>", pair=ROBERTAS, **ROBERTA)
pieces_framed = tokenizer(tiny.unigram, "<s> $A </s>", pair=ROBERTAS, unk_token="<unk>", **ROBERTA)
pieces_classed = tokenizer(tiny.unigram, "[CLS] $A [SEP]", pair=CLASSED, token_types=True, **BERT)
pieces_ended = tokenizer(tiny.unigram, "$A </s>", pad_token="<pad>", unk_token="<unk>", eos_token="</s>")
# The class token comes last and has a type of its own.
pieces_xlnet = tokenizer(
    tiny.unigram,
    "$A <sep> <cls>:2",
    pair="$A <sep> $B:1 <sep>:1 <cls>:2",
    token_types=True,
    padding_side="left",
    pad_token="<pad>",
    unk_token="<unk>",
    cls_token="<cls>",
    sep_token="<sep>",
    bos_token="<s>",
    eos_token="</s>",
)
# Of generative models many have no token for padding.
bytes_plain = tokenizer(tiny.byte_bpe, "$A", eos_token="<end>", bos_token="<end>")
bytes_padded = tokenizer(tiny.byte_bpe, "$A", eos_token="<end>", pad_token="<pad>")
bytes_left = tokenizer(tiny.byte_bpe, "$A", eos_token="<end>", pad_token="<pad>", padding_side="left")
bytes_begun = tokenizer(tiny.byte_bpe, "<s> $A", bos_token="<s>", eos_token="</s>")
pieces_begun = tokenizer(
    tiny.unigram, "<s> $A", bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>"
)


def squares(processor: type, size: int) -> Callable[[], object]:
    return lambda: processor(size={"height": size, "width": size}, crop_size={"height": size, "width": size})


def edges(processor: type, size: int) -> Callable[[], object]:
    return lambda: processor(size={"shortest_edge": size}, crop_size={"height": size, "width": size})


def timm(architecture: str, size: int, **model_args: object) -> Callable[[], hf.PreTrainedConfig]:
    return lambda: hf.TimmWrapperConfig(architecture=architecture, model_args=model_args, image_size=size)


TINY = {
    "BERT": Tiny(3, lambda: hf.BertConfig(**SIZES, max_position_embeddings=64), wordpiece),
    "DistilBERT": Tiny(
        3,
        lambda: hf.DistilBertConfig(dim=16, n_heads=2, n_layers=3, hidden_dim=32, max_position_embeddings=64),
        wordpiece_alone,
    ),
    "RoBERTa": Tiny(3, lambda: hf.RobertaConfig(**SIZES, **ROBERTA_SIZES), bytes_framed),
    "XLM-RoBERTa": Tiny(3, lambda: hf.XLMRobertaConfig(**SIZES, **ROBERTA_SIZES), pieces_framed),
    "CamemBERT": Tiny(3, lambda: hf.CamembertConfig(**SIZES, **ROBERTA_SIZES), pieces_framed),
    "ALBERT": Tiny(1, lambda: hf.AlbertConfig(**SIZES, embedding_size=8, max_position_embeddings=64), pieces_classed),
    "ELECTRA": Tiny(3, lambda: hf.ElectraConfig(**SIZES, embedding_size=8, max_position_embeddings=64), wordpiece),
    "MPNet": Tiny(3, lambda: hf.MPNetConfig(**SIZES, max_position_embeddings=80), bytes_framed),
    "DeBERTa-v2, -v3": Tiny(
        3,
        lambda: hf.DebertaV2Config(
            **SIZES,
            relative_attention=True,
            pos_att_type=["c2p", "p2c"],
            position_buckets=8,
            norm_rel_ebd="layer_norm",
            share_att_key=True,
            max_position_embeddings=64,
            type_vocab_size=0,
            position_biased_input=False,
        ),
        pieces_classed,
    ),
    "ModernBERT": Tiny(
        3,
        lambda: hf.ModernBertConfig(**SIZES, max_position_embeddings=64, cls_token_id=None, sep_token_id=None),
        bytes_framed,
    ),
    "XLNet": Tiny(3, lambda: hf.XLNetConfig(d_model=16, n_head=2, n_layer=3, d_inner=32), pieces_xlnet),
    "GPT-2": Tiny(3, lambda: hf.GPT2Config(n_embd=16, n_head=2, n_layer=3, n_positions=64), bytes_plain),
    "Llama": Tiny(3, lambda: hf.LlamaConfig(**DECODER), bytes_begun),
    "Mistral": Tiny(3, lambda: hf.MistralConfig(**DECODER), pieces_begun),
    "Qwen2": Tiny(3, lambda: hf.Qwen2Config(**DECODER), bytes_padded),
    "Qwen3": Tiny(3, lambda: hf.Qwen3Config(**DECODER), bytes_padded),
    "Gemma": Tiny(3, lambda: hf.GemmaConfig(**DECODER), pieces_begun),
    "Gemma 2": Tiny(3, lambda: hf.Gemma2Config(**DECODER), pieces_begun),
    "Phi-3": Tiny(3, lambda: hf.Phi3Config(**DECODER), bytes_padded),
    "GPT-NeoX, Pythia": Tiny(3, lambda: hf.GPTNeoXConfig(**SIZES, max_position_embeddings=64), bytes_plain),
    "BLOOM": Tiny(3, lambda: hf.BloomConfig(hidden_size=16, n_head=2, n_layer=3), bytes_left),
    "T5": Tiny(
        4,
        lambda: hf.T5Config(d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2, decoder_start_token_id=0),
        pieces_ended,
    ),
    "mT5": Tiny(
        4,
        lambda: hf.MT5Config(
            d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2, decoder_start_token_id=0, tie_word_embeddings=False
        ),
        pieces_ended,
    ),
    "BART": Tiny(4, lambda: hf.BartConfig(**BART, decoder_start_token_id=2), bytes_framed),
    "ResNet": Tiny(
        3,
        lambda: hf.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[2, 1]),
        edges(hf.ConvNextImageProcessor, 32),
    ),
    "EfficientNet": Tiny(
        8,
        lambda: hf.EfficientNetConfig(width_coefficient=0.1, depth_coefficient=0.3, hidden_dim=128, image_size=32),
        squares(hf.EfficientNetImageProcessor, 32),
    ),
    "MobileNetV1": Tiny(
        26, lambda: hf.MobileNetV1Config(depth_multiplier=0.1, image_size=32), edges(hf.MobileNetV1ImageProcessor, 32)
    ),
    "MobileNetV2": Tiny(
        16, lambda: hf.MobileNetV2Config(depth_multiplier=0.1, image_size=32), edges(hf.MobileNetV2ImageProcessor, 32)
    ),
    "ConvNeXt": Tiny(
        5,
        lambda: hf.ConvNextConfig(hidden_sizes=[8, 8, 8, 8], depths=[1, 2, 1, 1]),
        edges(hf.ConvNextImageProcessor, 32),
    ),
    "ConvNeXt V2": Tiny(
        5,
        lambda: hf.ConvNextV2Config(hidden_sizes=[8, 8, 8, 8], depths=[1, 1, 2, 1]),
        edges(hf.ConvNextImageProcessor, 32),
    ),
    "ViT": Tiny(3, lambda: hf.ViTConfig(**SIZES, image_size=16, patch_size=8), squares(hf.ViTImageProcessor, 16)),
    "DeiT": Tiny(
        3,
        lambda: hf.DeiTConfig(**SIZES, image_size=16, patch_size=8, architectures=["DeiTForImageClassification"]),
        squares(hf.DeiTImageProcessor, 16),
    ),
    "DeiT, distilled": Tiny(
        3,
        lambda: hf.DeiTConfig(
            **SIZES, image_size=16, patch_size=8, architectures=["DeiTForImageClassificationWithTeacher"]
        ),
        squares(hf.DeiTImageProcessor, 16),
    ),
    "BEiT": Tiny(
        3,
        lambda: hf.BeitConfig(**SIZES, image_size=16, patch_size=8, use_relative_position_bias=True),
        squares(hf.BeitImageProcessor, 16),
    ),
    "Swin": Tiny(
        3,
        lambda: hf.SwinConfig(image_size=32, patch_size=4, embed_dim=8, depths=[2, 1], num_heads=[2, 2], window_size=4),
        squares(hf.ViTImageProcessor, 32),
    ),
    "Swin V2": Tiny(
        3,
        lambda: hf.Swinv2Config(
            image_size=32, patch_size=4, embed_dim=8, depths=[1, 2], num_heads=[2, 2], window_size=4
        ),
        squares(hf.ViTImageProcessor, 32),
    ),
    "CLIP": Tiny(
        3,
        lambda: hf.CLIPConfig(vision_config=SIZES | {"image_size": 16, "patch_size": 8}),
        edges(hf.CLIPImageProcessor, 16),
    ),
    "DINOv2": Tiny(3, lambda: hf.Dinov2Config(**SIZES, image_size=16, patch_size=8), edges(hf.BitImageProcessor, 16)),
    "DINOv2 with registers": Tiny(
        3, lambda: hf.Dinov2WithRegistersConfig(**SIZES, image_size=16, patch_size=8), edges(hf.BitImageProcessor, 16)
    ),
    "VGG16": Tiny(13, timm("vgg16", 32, mlp_ratio=0.01)),
    "VGG19": Tiny(16, timm("vgg19", 32, mlp_ratio=0.01)),
    "Inception-v3": Tiny(12, timm("inception_v3", 75)),
    "MobileNetV3": Tiny(13, timm("mobilenetv3_small_050", 32)),
    "EfficientNetV2": Tiny(21, timm("tf_efficientnetv2_b0", 32)),
    "RegNetY": Tiny(13, timm("regnety_002", 32)),
}

FAMILIES = [Family(**vars(facts), **TINY[facts.name]._asdict()) for facts in families.FAMILIES]

LAST, NO_PADDING, NORM = families.LAST, families.NO_PADDING, families.NORM
# Architectures that nobody listed, and that go the same way: no row of the table, and no test but the whole path.
OTHERS = [
    Family(name, modality, model_class, model_type, "", note, **Tiny(*tiny_checkpoint)._asdict())
    for name, modality, model_class, model_type, note, *tiny_checkpoint in (
        (
            *("Phi", "text", "PhiForSequenceClassification", "phi", LAST),
            *(3, lambda: hf.PhiConfig(**SIZES, max_position_embeddings=64), bytes_padded),
        ),
        (
            *("Mixtral", "text", "MixtralForSequenceClassification", "mixtral", LAST),
            *(3, lambda: hf.MixtralConfig(**DECODER, num_local_experts=3, num_experts_per_tok=1), pieces_begun),
        ),
        (
            *("Gemma 3", "text", "Gemma3TextForSequenceClassification", "gemma3_text", LAST),
            *(3, lambda: hf.Gemma3TextConfig(**DECODER), pieces_begun),
        ),
        (
            *("Falcon", "text", "FalconForSequenceClassification", "falcon", LAST),
            *(3, lambda: hf.FalconConfig(hidden_size=16, num_attention_heads=2, num_hidden_layers=3), bytes_padded),
        ),
        (
            *("OPT", "text", "OPTForSequenceClassification", "opt", LAST),
            3,
            lambda: hf.OPTConfig(
                hidden_size=16,
                word_embed_proj_dim=16,
                ffn_dim=32,
                num_attention_heads=2,
                num_hidden_layers=3,
                max_position_embeddings=64,
            ),
            bytes_padded,
        ),
        (
            *("OLMo", "text", "OlmoForSequenceClassification", "olmo", LAST),
            *(3, lambda: hf.OlmoConfig(**SIZES, max_position_embeddings=64), bytes_padded),
        ),
        (
            *("ConvBERT", "text", "ConvBertForSequenceClassification", "convbert", ""),
            3,
            lambda: hf.ConvBertConfig(
                **SIZES, embedding_size=8, head_ratio=1, conv_kernel_size=3, max_position_embeddings=64
            ),
            wordpiece,
        ),
        (
            *("LayoutLM", "text", "LayoutLMForSequenceClassification", "layoutlm", ""),
            *(3, lambda: hf.LayoutLMConfig(**SIZES, max_position_embeddings=64), wordpiece),
        ),
        (
            *("SegFormer", "image", "SegformerForImageClassification", "segformer", ""),
            3,
            lambda: hf.SegformerConfig(
                num_encoder_blocks=2,
                depths=[1, 2],
                sr_ratios=[1, 1],
                hidden_sizes=[8, 16],
                patch_sizes=[3, 3],
                strides=[2, 2],
                num_attention_heads=[1, 2],
                mlp_ratios=[2, 2],
            ),
            squares(hf.ViTImageProcessor, 32),
        ),
        (
            *("SigLIP", "image", "SiglipForImageClassification", "siglip", ""),
            3,
            lambda: hf.SiglipConfig(vision_config=SIZES | {"image_size": 16, "patch_size": 8}),
            squares(hf.SiglipImageProcessor, 16),
        ),
    )
]
