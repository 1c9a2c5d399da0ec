"""Depths are right by proof: a forward pass reads the parameters of depth 0, then block by block, then the head."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
import torch
import transformers as hf
from peft import LoraConfig, PromptEncoderConfig, get_peft_model
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from hfkit.errors import UserError
from hfkit.model import maps
from hfkit.model.depth import Depths
from hfkit.model.layouts import LAYOUTS
from hfkit.model.unfreezing import Unfreezing

SIZES = {"hidden_size": 16, "num_attention_heads": 2, "num_hidden_layers": 2, "intermediate_size": 32}
TEXT = SIZES | {"vocab_size": 50, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
IMAGE = SIZES | {"image_size": 16, "patch_size": 8}
LLAMA = TEXT | {"num_key_value_heads": 1, "head_dim": 8}
T5 = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_decoder_layers": 3, "num_heads": 2, "vocab_size": 50}
SEQ2SEQ = {
    "d_model": 16,
    "encoder_layers": 2,
    "decoder_layers": 3,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
}
BART = SEQ2SEQ | {
    "vocab_size": 50,
    "max_position_embeddings": 16,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 1,
    "forced_eos_token_id": 2,
}
WHISPER = BART | {"num_mel_bins": 8, "max_source_positions": 10, "max_target_positions": 8}
WAV2VEC2 = SIZES | {
    "conv_dim": (8, 8),
    "conv_stride": (5, 2),
    "conv_kernel": (10, 3),
    "num_feat_extract_layers": 2,
    "num_conv_pos_embeddings": 4,
    "num_conv_pos_embedding_groups": 2,
    "vocab_size": 12,
}
RESNET = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [2, 1]}
DETR = SEQ2SEQ | {"num_queries": 4, "use_pretrained_backbone": False}

IDS = torch.tensor([[5, 6, 7, 8, 2], [9, 8, 7, 6, 2]])
IDS_IN = {"input_ids": IDS}
SEQ2SEQ_IN = {"input_ids": IDS, "decoder_input_ids": IDS}
WAVE_IN = {"input_values": torch.linspace(-1, 1, 400).view(2, 200)}
MEL_IN = {"input_features": torch.linspace(-1, 1, 320).view(2, 8, 20)}


def pixels(size: int) -> dict[str, torch.Tensor]:
    return {"pixel_values": torch.linspace(-1, 1, 2 * 3 * size * size).view(2, 3, size, size)}


@dataclass(frozen=True)
class Case:
    """One architecture with a task head: how to build it, what it reads, and what is expected of its depths."""

    auto: type
    config: Callable[[], hf.PreTrainedConfig]
    inputs: dict[str, torch.Tensor]
    blocks: int
    head: str  # all that is at N+1, and nothing else is
    unread: str = ""  # parameters that this forward pass never touches
    later: str = ""  # parts of depth 0 that blocks have run before: a decoder's embeddings, shared position tables
    stem: str = "embeddings"
    towers: tuple[str, ...] = field(default=("",))  # parts that are in order each for itself


SEQUENCE, TOKEN = hf.AutoModelForSequenceClassification, hf.AutoModelForTokenClassification
QA, CAUSAL, MASKED = hf.AutoModelForQuestionAnswering, hf.AutoModelForCausalLM, hf.AutoModelForMaskedLM
TO_TEXT, SPEECH_TO_TEXT = hf.AutoModelForSeq2SeqLM, hf.AutoModelForSpeechSeq2Seq
PICTURE, AUDIO = hf.AutoModelForImageClassification, hf.AutoModelForAudioClassification
OBJECTS = hf.AutoModelForObjectDetection


def timm(architecture: str, **model_args: object) -> Callable[[], hf.PreTrainedConfig]:
    return lambda: hf.TimmWrapperConfig(architecture=architecture, num_labels=3, model_args=model_args)


def decoder(config: type, **more: object) -> Case:
    """A Llama-like decoder as a token classifier."""
    return Case(TOKEN, lambda: config(**LLAMA, **more), IDS_IN, 2, "model.norm score")


CASES = {
    "bert tokens": Case(TOKEN, lambda: hf.BertConfig(**TEXT), IDS_IN, 2, "classifier"),
    "bert sequence": Case(SEQUENCE, lambda: hf.BertConfig(**TEXT), IDS_IN, 2, "bert.pooler classifier"),
    "bert masked": Case(MASKED, lambda: hf.BertConfig(**TEXT), IDS_IN, 2, "cls"),
    "roberta": Case(QA, lambda: hf.RobertaConfig(**TEXT), IDS_IN, 2, "qa_outputs"),
    "xlm-roberta": Case(TOKEN, lambda: hf.XLMRobertaConfig(**TEXT), IDS_IN, 2, "classifier"),
    "camembert": Case(SEQUENCE, lambda: hf.CamembertConfig(**TEXT), IDS_IN, 2, "classifier"),
    "electra": Case(SEQUENCE, lambda: hf.ElectraConfig(**TEXT, embedding_size=8), IDS_IN, 2, "classifier"),
    "distilbert": Case(
        SEQUENCE,
        lambda: hf.DistilBertConfig(dim=16, n_heads=2, n_layers=3, hidden_dim=32, vocab_size=50),
        IDS_IN,
        3,
        "pre_classifier classifier",
    ),
    "albert": Case(SEQUENCE, lambda: hf.AlbertConfig(**TEXT, embedding_size=8), IDS_IN, 1, "albert.pooler classifier"),
    "albert groups": Case(
        TOKEN, lambda: hf.AlbertConfig(**TEXT, embedding_size=8, num_hidden_groups=2), IDS_IN, 2, "classifier"
    ),
    "mpnet": Case(TOKEN, lambda: hf.MPNetConfig(**TEXT), IDS_IN, 2, "classifier"),
    "deberta": Case(
        SEQUENCE,
        lambda: hf.DebertaConfig(**TEXT, relative_attention=True, pos_att_type=["c2p", "p2c"]),
        IDS_IN,
        2,
        "pooler classifier",
        later="deberta.encoder.rel_embeddings",
    ),
    "deberta-v2": Case(
        SEQUENCE,
        lambda: hf.DebertaV2Config(
            **TEXT,
            relative_attention=True,
            pos_att_type=["c2p", "p2c"],
            position_buckets=4,
            norm_rel_ebd="layer_norm",
            conv_kernel_size=3,
        ),
        IDS_IN,
        2,
        "pooler classifier",
    ),
    "modernbert": Case(
        TOKEN,
        lambda: hf.ModernBertConfig(**TEXT, cls_token_id=1, sep_token_id=2),
        IDS_IN,
        2,
        "model.final_norm head classifier",
    ),
    "esm": Case(
        TOKEN,
        lambda: hf.EsmConfig(**TEXT, emb_layer_norm_before=True),
        IDS_IN,
        2,
        "classifier esm.encoder.emb_layer_norm_after esm.contact_head",
        unread="esm.contact_head",
    ),
    "xlnet": Case(
        SEQUENCE,
        lambda: hf.XLNetConfig(d_model=16, n_head=2, n_layer=2, d_inner=32, vocab_size=50),
        IDS_IN | {"token_type_ids": torch.ones_like(IDS)},
        2,
        "sequence_summary logits_proj",
        unread="transformer.mask_emb",
    ),
    "gpt2 sequence": Case(
        SEQUENCE,
        lambda: hf.GPT2Config(n_embd=16, n_head=2, n_layer=3, vocab_size=50, pad_token_id=0),
        IDS_IN,
        3,
        "transformer.ln_f score",
    ),
    # The LM head is tied to the embeddings: what is left of the head is the final norm.
    "gpt2 causal": Case(
        CAUSAL,
        lambda: hf.GPT2Config(n_embd=16, n_head=2, n_layer=3, vocab_size=50),
        IDS_IN,
        3,
        "transformer.ln_f",
    ),
    "gpt_neo": Case(
        TOKEN,
        lambda: hf.GPTNeoConfig(
            hidden_size=16, num_layers=2, num_heads=2, attention_types=[[["global", "local"], 1]], vocab_size=50
        ),
        IDS_IN,
        2,
        "transformer.ln_f classifier",
    ),
    "gptj": Case(
        CAUSAL,
        lambda: hf.GPTJConfig(n_embd=16, n_head=2, n_layer=2, rotary_dim=4, vocab_size=50),
        IDS_IN,
        2,
        "transformer.ln_f lm_head",
    ),
    "bloom": Case(
        TOKEN,
        lambda: hf.BloomConfig(hidden_size=16, n_head=2, n_layer=2, vocab_size=50),
        IDS_IN,
        2,
        "transformer.ln_f classifier",
    ),
    "gpt_neox": Case(
        CAUSAL, lambda: hf.GPTNeoXConfig(**TEXT), IDS_IN, 2, "gpt_neox.final_layer_norm embed_out lm_head"
    ),
    "llama": Case(CAUSAL, lambda: hf.LlamaConfig(**LLAMA), IDS_IN, 2, "model.norm lm_head"),
    "mistral": decoder(hf.MistralConfig),
    "qwen2": decoder(hf.Qwen2Config),
    "qwen3": decoder(hf.Qwen3Config),
    "gemma": decoder(hf.GemmaConfig),
    "gemma2": decoder(hf.Gemma2Config),
    "phi3": decoder(hf.Phi3Config),
    "olmo2": Case(CAUSAL, lambda: hf.Olmo2Config(**LLAMA), IDS_IN, 2, "model.norm lm_head"),
    "smollm3": decoder(hf.SmolLM3Config),
    "granite": Case(CAUSAL, lambda: hf.GraniteConfig(**LLAMA), IDS_IN, 2, "model.norm lm_head"),
    "t5": Case(TO_TEXT, lambda: hf.T5Config(**T5), SEQ2SEQ_IN, 5, "decoder.final_layer_norm"),
    "t5 tokens": Case(TOKEN, lambda: hf.T5Config(**T5), IDS_IN, 2, "classifier"),
    "t5 sequence": Case(
        SEQUENCE,
        lambda: hf.T5Config(**T5, eos_token_id=2, decoder_start_token_id=0),
        IDS_IN,
        5,
        "transformer.decoder.final_layer_norm classification_head",
    ),
    "mt5": Case(
        TO_TEXT,
        lambda: hf.MT5Config(**T5, tie_word_embeddings=False),
        SEQ2SEQ_IN,
        5,
        "decoder.final_layer_norm lm_head",
    ),
    "umt5": Case(QA, lambda: hf.UMT5Config(**T5), SEQ2SEQ_IN, 5, "decoder.final_layer_norm qa_outputs"),
    "bart": Case(
        TO_TEXT,
        lambda: hf.BartConfig(**BART),
        SEQ2SEQ_IN,
        5,
        "",
        later="model.decoder.embed_positions model.decoder.layernorm_embedding",
    ),
    "bart sequence": Case(
        SEQUENCE,
        lambda: hf.BartConfig(**BART),
        IDS_IN,
        5,
        "classification_head",
        later="model.decoder.embed_positions model.decoder.layernorm_embedding",
    ),
    "mbart": Case(
        TO_TEXT,
        lambda: hf.MBartConfig(**BART),
        SEQ2SEQ_IN,
        5,
        "model.decoder.layer_norm",
        later="model.decoder.embed_positions model.decoder.layernorm_embedding",
    ),
    "pegasus": Case(
        TO_TEXT,
        lambda: hf.PegasusConfig(**BART),
        SEQ2SEQ_IN,
        5,
        "model.decoder.layer_norm",
        later="model.decoder.embed_positions",
    ),
    "m2m_100": Case(TO_TEXT, lambda: hf.M2M100Config(**BART), SEQ2SEQ_IN, 5, "model.decoder.layer_norm"),
    "marian": Case(TO_TEXT, lambda: hf.MarianConfig(**BART), SEQ2SEQ_IN, 5, "", later="model.decoder.embed_positions"),
    "whisper": Case(
        SPEECH_TO_TEXT,
        lambda: hf.WhisperConfig(**WHISPER),
        MEL_IN | {"decoder_input_ids": IDS},
        5,
        "model.decoder.layer_norm",
        later="model.decoder.embed_tokens model.decoder.embed_positions",
    ),
    "whisper audio": Case(
        AUDIO,
        lambda: hf.WhisperConfig(**WHISPER, use_weighted_layer_sum=True),
        MEL_IN,
        2,
        "layer_weights projector classifier",
    ),
    "wav2vec2": Case(
        hf.AutoModelForCTC,
        lambda: hf.Wav2Vec2Config(**WAV2VEC2),
        WAVE_IN,
        2,
        "lm_head",
        unread="wav2vec2.masked_spec_embed",
        stem="stem",
    ),
    "wav2vec2 stable": Case(
        AUDIO,
        lambda: hf.Wav2Vec2Config(
            **WAV2VEC2, do_stable_layer_norm=True, feat_extract_norm="layer", use_weighted_layer_sum=True
        ),
        WAVE_IN,
        2,
        "wav2vec2.encoder.layer_norm layer_weights projector classifier",
        unread="wav2vec2.masked_spec_embed",
        stem="stem",
    ),
    "wav2vec2 adapter": Case(
        hf.AutoModelForCTC,
        lambda: hf.Wav2Vec2Config(**WAV2VEC2, add_adapter=True, num_adapter_layers=1),
        WAVE_IN,
        2,
        "wav2vec2.adapter lm_head",
        unread="wav2vec2.masked_spec_embed",
        stem="stem",
    ),
    "hubert": Case(
        AUDIO,
        lambda: hf.HubertConfig(**WAV2VEC2),
        WAVE_IN,
        2,
        "projector classifier",
        unread="hubert.masked_spec_embed",
        stem="stem",
    ),
    "wavlm": Case(
        AUDIO,
        lambda: hf.WavLMConfig(**WAV2VEC2, num_buckets=8),
        WAVE_IN,
        2,
        "projector classifier",
        unread="wavlm.masked_spec_embed",
        stem="stem",
    ),
    "ast": Case(
        AUDIO,
        lambda: hf.ASTConfig(**SIZES, num_mel_bins=16, max_length=32, patch_size=8),
        {"input_values": torch.linspace(-1, 1, 2 * 32 * 16).view(2, 32, 16)},
        2,
        "audio_spectrogram_transformer.layernorm classifier",
        stem="stem",
    ),
    "vit": Case(PICTURE, lambda: hf.ViTConfig(**IMAGE), pixels(16), 2, "vit.layernorm classifier", stem="stem"),
    "vit_msn": Case(PICTURE, lambda: hf.ViTMSNConfig(**IMAGE), pixels(16), 2, "vit.layernorm classifier", stem="stem"),
    "deit": Case(
        hf.DeiTForImageClassification,
        lambda: hf.DeiTConfig(**IMAGE),
        pixels(16),
        2,
        "deit.layernorm classifier",
        stem="stem",
    ),
    "beit": Case(
        PICTURE,
        lambda: hf.BeitConfig(**IMAGE, use_relative_position_bias=True),
        pixels(16),
        2,
        "beit.pooler classifier",
        stem="stem",
    ),
    "beit shared bias": Case(
        PICTURE,
        lambda: hf.BeitConfig(
            **IMAGE,
            use_shared_relative_position_bias=True,
            use_absolute_position_embeddings=True,
            use_mask_token=True,
            use_mean_pooling=False,
        ),
        pixels(16),
        2,
        "beit.layernorm classifier",
        unread="beit.embeddings.mask_token",
        stem="stem",
    ),
    "dinov2": Case(
        PICTURE,
        lambda: hf.Dinov2Config(**SIZES, image_size=16, patch_size=8),
        pixels(16),
        2,
        "dinov2.layernorm classifier",
        unread="dinov2.embeddings.mask_token",
        stem="stem",
    ),
    "dinov2_with_registers": Case(
        PICTURE,
        lambda: hf.Dinov2WithRegistersConfig(**SIZES, image_size=16, patch_size=8),
        pixels(16),
        2,
        "dinov2_with_registers.layernorm classifier",
        unread="dinov2_with_registers.embeddings.mask_token",
        stem="stem",
    ),
    "swin": Case(
        PICTURE,
        lambda: hf.SwinConfig(image_size=32, patch_size=4, embed_dim=8, depths=[2, 1], num_heads=[2, 2], window_size=4),
        pixels(32),
        3,
        "swin.layernorm classifier",
        stem="stem",
    ),
    "swinv2": Case(
        PICTURE,
        lambda: hf.Swinv2Config(
            image_size=32, patch_size=4, embed_dim=8, depths=[1, 2], num_heads=[2, 2], window_size=4
        ),
        pixels(32),
        3,
        "swinv2.layernorm classifier",
        stem="stem",
    ),
    "convnext": Case(
        PICTURE,
        lambda: hf.ConvNextConfig(hidden_sizes=[8, 8, 8, 8], depths=[1, 2, 1, 1]),
        pixels(32),
        5,
        "convnext.layernorm classifier",
        stem="stem",
    ),
    "convnextv2": Case(
        PICTURE,
        lambda: hf.ConvNextV2Config(hidden_sizes=[8, 8, 8, 8], depths=[1, 1, 2, 1]),
        pixels(32),
        5,
        "convnextv2.layernorm classifier",
        stem="stem",
    ),
    "resnet": Case(PICTURE, lambda: hf.ResNetConfig(**RESNET), pixels(32), 3, "classifier", stem="stem"),
    "regnet": Case(
        PICTURE,
        lambda: hf.RegNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 2], groups_width=8),
        pixels(32),
        3,
        "classifier",
        stem="stem",
    ),
    # Seven stages of 1, 2, 2, 3, 3, 4, 1 blocks, each scaled by 0.3 and rounded up.
    "efficientnet": Case(
        PICTURE,
        lambda: hf.EfficientNetConfig(width_coefficient=0.1, depth_coefficient=0.3, hidden_dim=128, image_size=32),
        pixels(32),
        8,
        "classifier",
        stem="stem",
    ),
    "mobilenet_v1": Case(
        PICTURE, lambda: hf.MobileNetV1Config(depth_multiplier=0.1), pixels(32), 26, "classifier", stem="stem"
    ),
    "mobilenet_v2": Case(
        PICTURE, lambda: hf.MobileNetV2Config(depth_multiplier=0.1), pixels(32), 16, "classifier", stem="stem"
    ),
    "clip": Case(
        hf.AutoModelForZeroShotImageClassification,
        lambda: hf.CLIPConfig(
            text_config=TEXT | {"max_position_embeddings": 8},
            vision_config=IMAGE | {"num_hidden_layers": 3},
            projection_dim=8,
        ),
        pixels(16) | IDS_IN,
        3,
        "text_model.final_layer_norm vision_model.post_layernorm text_projection visual_projection logit_scale",
        towers=("text_", "vis"),
    ),
    "clip picture": Case(
        PICTURE,
        lambda: hf.CLIPConfig(vision_config=IMAGE),
        pixels(16),
        2,
        "vision_model.post_layernorm classifier",
    ),
    "detr": Case(
        OBJECTS,
        lambda: hf.DetrConfig(
            **DETR, use_timm_backbone=False, backbone_config=hf.ResNetConfig(**RESNET, out_features=["stage2"])
        ),
        pixels(32),
        3 + 2 + 3,
        "model.decoder.layernorm class_labels_classifier bbox_predictor",
        stem="stem",
    ),
    "detr timm": Case(
        OBJECTS,
        lambda: hf.DetrConfig(**DETR, use_timm_backbone=True, backbone="resnet10t"),
        pixels(32),
        4 + 2 + 3,
        "model.decoder.layernorm class_labels_classifier bbox_predictor",
        stem="stem",
    ),
    "yolos": Case(
        OBJECTS,
        lambda: hf.YolosConfig(**IMAGE | {"image_size": [16, 16]}, num_detection_tokens=3),
        pixels(16),
        2,
        "vit.layernorm class_labels_classifier bbox_predictor",
        stem="stem",
    ),
    # 13 and 16 convolutions less the stem, and the two hidden layers after them as one more block.
    "timm vgg16": Case(PICTURE, timm("vgg16", mlp_ratio=0.01), pixels(32), 13, "timm_model.head.fc", stem="stem"),
    "timm vgg19": Case(PICTURE, timm("vgg19", mlp_ratio=0.01), pixels(32), 16, "timm_model.head.fc", stem="stem"),
    # One block of plain convolutions, then the eleven Mixed modules.
    "timm inception_v3": Case(PICTURE, timm("inception_v3"), pixels(75), 12, "timm_model.fc", stem="stem"),
    "timm resnet50": Case(PICTURE, timm("resnet50"), pixels(32), 3 + 4 + 6 + 3, "timm_model.fc", stem="stem"),
    "timm efficientnet_b0": Case(
        PICTURE, timm("efficientnet_b0"), pixels(32), 16, "timm_model.classifier", stem="stem"
    ),
    "timm mobilenetv3": Case(
        PICTURE, timm("mobilenetv3_small_100"), pixels(32), 12 + 1, "timm_model.classifier", stem="stem"
    ),
    "timm vit": Case(
        PICTURE,
        timm("vit_tiny_patch16_224", img_size=32),
        pixels(32),
        12,
        "timm_model.head",
        stem="stem",
    ),
}


def build(case: Case) -> nn.Module:
    torch.manual_seed(0)
    if issubclass(case.auto, hf.PreTrainedModel):
        return case.auto(case.config()).eval()
    return case.auto.from_config(case.config()).eval()


# Networks of timm are large even when they are small; two of them stand for the others where gradients are computed.
LARGE = {name for name in CASES if name.startswith("timm")} - {"timm mobilenetv3", "timm vit"}


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(case, id=name, marks=pytest.mark.slow if name == "timm vgg19" else ())
        for name, case in CASES.items()
    ],
)
def built(request):
    return request.param, build(request.param)


def below(parts: str, name: str) -> bool:
    """Whether a parameter is one of the `parts`, or sits in one."""
    return any(name == part or name.startswith(f"{part}.") for part in parts.split())


class ReadOrder(TorchDispatchMode):
    """Lists the parameters in the order in which operations first take them as input."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.names = {id(parameter): name for name, parameter in model.named_parameters()}
        self.read: dict[str, None] = {}

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        for value in tree_leaves((args, kwargs)):
            if id(value) in self.names:
                self.read[self.names[id(value)]] = None
        return operation(*args, **(kwargs or {}))


def backward(model: nn.Module, inputs: dict[str, torch.Tensor]) -> set[str]:
    """Names of the parameters that a backward pass from every output reaches."""
    outputs = [value for value in tree_leaves(dict(model(**inputs))) if torch.is_tensor(value)]
    model.zero_grad()
    sum(value.sum() for value in outputs if value.requires_grad).backward()
    return {name for name, parameter in model.named_parameters() if parameter.grad is not None}


def test_every_listed_model_type_has_a_case():
    assert {*LAYOUTS} <= {case.config().model_type for case in CASES.values()}


def test_what_is_not_listed_is_found_and_proven(built):
    case, model = built
    proven = "proven by the order in which a forward pass reads them" in Depths.of(model).origin
    assert proven == (model.config.model_type not in LAYOUTS)


def test_every_parameter_and_every_block_has_one_depth(built):
    case, model = built
    depths, names = Depths.of(model).parameters, Depths.of(model).names
    assert list(depths) == [name for name, _ in model.named_parameters()]
    assert {0, *range(1, case.blocks + 1)} <= set(depths.values()) <= set(range(case.blocks + 2))
    assert len(names) == len(set(names)) == case.blocks + 2
    assert (names[0], names[-1]) == (case.stem, "head")


def test_the_head_is_what_the_task_adds_and_what_follows_the_last_block(built):
    case, model = built
    head = {name for name, depth in Depths.of(model).parameters.items() if depth == case.blocks + 1}
    assert head == {name for name, _ in model.named_parameters() if below(case.head, name)}


def test_a_forward_pass_reads_parameters_in_order_of_depth(built):
    case, model = built
    depths = Depths.of(model).parameters
    with torch.no_grad(), ReadOrder(model) as order:
        model(**case.inputs)
    assert {name for name in depths if name not in order.read} == {n for n in depths if below(case.unread, n)}
    assert {depths[name] for name in depths if below(case.later, name)} <= {0}
    for tower in case.towers:
        read = [name for name in order.read if name.startswith(tower) and not below(case.later, name)]
        assert [depths[name] for name in read] == sorted(depths[name] for name in read), read


@pytest.mark.parametrize(
    "built",
    [pytest.param(case, id=name, marks=pytest.mark.slow if name in LARGE else ()) for name, case in CASES.items()],
    indirect=True,
)
def test_freezing_up_to_a_depth_leaves_gradients_above_it_only(built):
    case, model = built
    depths = Depths.of(model).parameters
    model.requires_grad_(True)
    learning = backward(model, case.inputs)
    for frozen in range(case.blocks + 1):
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(depths[name] > frozen)
        assert backward(model, case.inputs) == {name for name in learning if depths[name] > frozen}
        if case.blocks + 1 not in depths.values() and frozen == case.blocks - 1:
            break  # a tied head: with the last block frozen too, nothing is left to learn
    assert {depths[name] for name in learning} == set(depths.values())


def test_a_module_is_as_deep_as_its_deepest_parameter_and_one_that_spans_blocks_as_the_last_of_them(built):
    case, model = built
    depths, modules = Depths.of(model).parameters, Depths.of(model).modules
    assert list(modules) == [name for name, _ in model.named_modules()]
    assert modules[""] == max(depths.values())
    by_identity = {id(parameter): depths[name] for name, parameter in model.named_parameters()}
    for name, module in model.named_modules():
        own = {by_identity[id(parameter)] for parameter in module.parameters()}
        among_blocks = own - {case.blocks + 1} or own
        assert not own or modules[name] in (max(own), max(among_blocks)), name


@pytest.mark.parametrize(
    ("name", "part", "place"),
    [
        ("deberta-v2", "deberta.encoder.conv", "deberta.encoder.layer.0"),
        ("t5", "encoder.final_layer_norm", "encoder.block.1"),
        ("t5", "encoder.block.0.layer.0.SelfAttention.relative_attention_bias", "encoder.block.0"),
        ("whisper", "model.encoder.layer_norm", "model.encoder.layers.1"),
        ("swin", "swin.encoder.layers.0.downsample", "swin.encoder.layers.0.blocks.1"),
        ("convnext", "convnext.encoder.stages.1.downsampling_layer", "convnext.encoder.stages.1.layers.0"),
        ("efficientnet", "efficientnet.encoder.top_conv", "efficientnet.encoder.blocks.7"),
        ("mobilenet_v2", "mobilenet_v2.conv_1x1", "mobilenet_v2.layer.15"),
        ("detr", "model.input_projection", "model.encoder.layers.0"),
        ("detr", "model.query_position_embeddings", "model.decoder.layers.0"),
        ("clip", "text_model.encoder.layers.1", "vision_model.encoder.layers.2"),
        ("timm vit", "timm_model.norm", "timm_model.blocks.11"),
        ("timm efficientnet_b0", "timm_model.conv_head", "timm_model.blocks.6.0"),
    ],
)
def test_a_part_between_blocks_belongs_to_the_documented_one(name, part, place):
    depths = Depths.of(build(CASES[name])).parameters
    placed = {depth for name, depth in depths.items() if below(part, name)}
    assert len(placed) == 1
    assert placed == {depth for name, depth in depths.items() if below(place, name)}


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("bert tokens", ["embeddings", "encoder.layer.0", "encoder.layer.1", "head"]),
        ("albert", ["embeddings", "encoder.albert_layer_groups.0", "head"]),
        (
            "swin",
            ["stem", "encoder.layers.0.blocks.0", "encoder.layers.0.blocks.1", "encoder.layers.1.blocks.0", "head"],
        ),
        (
            "clip",
            [
                "embeddings",
                "vision_model.encoder.layers.0",
                "text_model.encoder.layers.0 + vision_model.encoder.layers.1",
                "text_model.encoder.layers.1 + vision_model.encoder.layers.2",
                "head",
            ],
        ),
        ("timm vit", ["stem", *(f"blocks.{i}" for i in range(12)), "head"]),
    ],
)
def test_depths_are_called_by_the_module_paths_of_the_blocks(name, labels):
    assert Depths.of(build(CASES[name])).names == tuple(labels)


def test_what_timm_leaves_after_the_blocks_is_a_block_of_its_own():
    assert Depths.of(build(CASES["timm vgg16"])).names[-3:] == ("features.28", "pre_logits", "head")
    assert Depths.of(build(CASES["timm mobilenetv3"])).names[-2:] == ("conv_head", "head")


@pytest.mark.parametrize(
    ("name", "places"),
    [
        (
            "bert tokens",
            {
                "bert.embeddings.dropout": 0,
                "bert.encoder.layer.0.output.dropout": 1,
                "bert.encoder.layer.1.intermediate.intermediate_act_fn": 2,
                "bert.encoder": 2,
                "bert": 2,
                "dropout": 3,
            },
        ),
        # The dropout behind the embeddings is registered beside the final norm, which is head.
        ("gpt2 sequence", {"transformer.drop": 0, "transformer.h.0.attn.attn_dropout": 1, "transformer": 3, "": 4}),
        ("gpt2 causal", {"transformer.drop": 0, "transformer.h.2.mlp.dropout": 3, "transformer": 3}),
        ("gpt_neo", {"transformer.drop": 0, "dropout": 3}),
        ("gpt_neox", {"gpt_neox.emb_dropout": 0}),
        ("vit", {"vit.embeddings.dropout": 0, "vit": 2}),
        # Its embeddings, its first and its last use of one dropout: it draws until the last block is frozen.
        ("xlnet", {"transformer.dropout": 2}),
        ("t5", {"encoder.dropout": 2, "decoder.dropout": 5, "decoder": 5}),
        ("t5 sequence", {"transformer.decoder.dropout": 5, "classification_head.dropout": 6}),
        ("wav2vec2", {"wav2vec2.encoder.dropout": 0, "wav2vec2.encoder": 2, "dropout": 3}),
        ("wav2vec2 stable", {"wav2vec2.encoder.dropout": 0, "wav2vec2.encoder": 2, "wav2vec2": 2}),
        ("detr timm", {"model.backbone.model.bn1": 0, "model.decoder": 9}),
        ("timm vit", {"timm_model.pos_drop": 0, "timm_model.head_drop": 13, "timm_model": 13}),
        ("timm vgg16", {"timm_model.features.1": 0, "timm_model.features.3": 1, "timm_model.head.drop": 14}),
    ],
)
def test_modules_without_parameters_go_with_the_layer_before_them_or_what_is_around_them(name, places):
    modules = Depths.of(build(CASES[name])).modules
    assert {place: modules[place] for place in places} == places


CLASSIFIERS = {name: case for name, case in CASES.items() if case.auto in (TOKEN, SEQUENCE)}
# Architectures that draw within a frozen part for as long as the rest of its container learns.
DRAWS_ON = {
    "xlnet": "one dropout module serves the embeddings and the last block",
    "t5 tokens": "one dropout module serves the embeddings and the end of the stack",
    "t5 sequence": "one dropout module serves the embeddings and the end of each stack",
    "bart sequence": "the encoder and the decoder drop their embeddings by a function, under their own training flag",
}


@pytest.fixture(scope="module", params=CLASSIFIERS)
def drawing(request):
    """(name, model, its inputs) with every dropout of the configuration at one half."""
    case = CLASSIFIERS[request.param]
    config = case.config()
    for key, value in config.to_dict().items():
        # Not layerdrop: a layer that is left out is nothing to compare.
        if "drop" in key and "layerdrop" not in key and isinstance(value, int | float) and not isinstance(value, bool):
            setattr(config, key, 0.5)
    torch.manual_seed(0)
    return request.param, case.auto.from_config(config), case.inputs


def repeats(model: nn.Module, part: nn.Module, inputs: dict[str, torch.Tensor], unfreezing: Unfreezing) -> bool:
    """Whether `part` gives the same bits twice in training mode."""
    seen: list[list[torch.Tensor]] = []
    hook = part.register_forward_hook(
        lambda module, args, output: seen.append([v for v in tree_leaves(output) if torch.is_tensor(v)])
    )
    model.train()
    unfreezing.hold_frozen_in_eval()
    with torch.no_grad():
        outputs = [model(**inputs) for _ in range(2)]
    hook.remove()
    assert len(outputs) == len(seen) == 2 and seen[0]
    return all(torch.equal(*pair) for pair in zip(*seen, strict=True))


def test_a_frozen_base_model_is_deterministic_in_training(drawing):
    _, model, inputs = drawing
    unfreezing = Unfreezing(model)
    unfreezing.apply(model, unfreezing.depths.head)
    assert repeats(model, model.base_model, inputs, unfreezing)
    unfreezing.apply(model, 0)
    assert not repeats(model, model.base_model, inputs, unfreezing)


def test_a_frozen_prefix_is_deterministic_in_training(drawing):
    name, model, inputs = drawing
    unfreezing = Unfreezing(model)
    repeated = {}
    for lowest in range(2, unfreezing.depths.head):
        unfreezing.apply(model, lowest)
        below = unfreezing.depths.names[lowest - 1]
        (last,) = (m for path, m in model.named_modules() if f".{path}".endswith(f".{below}"))
        repeated[lowest] = repeats(model, last, inputs, unfreezing)
    if name in DRAWS_ON:
        assert not repeated[2], f"{name} is no exception any more"
        if unfreezing.depths.head > 3:
            assert repeated[3]  # the whole encoder is frozen, and only the decoder draws
    else:
        assert all(repeated.values()), repeated


@pytest.mark.parametrize(
    ("name", "target", "head"),
    [("bert tokens", "query", "classifier"), ("vit", "q_proj", "classifier"), ("timm vit", "qkv", "head")],
)
def test_adapters_take_the_depth_of_their_host(name, target, head):
    case = CASES[name]
    plain = Depths.of(build(case)).parameters
    model = get_peft_model(build(case), LoraConfig(r=2, target_modules=[target], modules_to_save=[head])).eval()
    depths = Depths.of(model).parameters
    assert list(depths) == [name for name, _ in model.named_parameters()]
    adapters = {name: depth for name, depth in depths.items() if ".lora_" in name}
    assert len(adapters) == 2 * case.blocks
    for name, depth in adapters.items():
        host = name.removeprefix("base_model.model.").split(".lora_")[0]
        assert depth == plain[f"{host}.weight"]
    copies = {
        name: depth for name, depth in depths.items() if ".original_module." in name or ".modules_to_save." in name
    }
    assert len(copies) == 4  # weight and bias, twice
    assert set(copies.values()) == {case.blocks + 1}
    assert Depths.of(model).names == Depths.of(build(case)).names
    for frozen in range(case.blocks + 1):
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(depths[name] > frozen and (name in adapters or ".modules_to_save." in name))
        assert {depths[name] for name in backward(model, case.inputs)} == set(range(frozen + 1, case.blocks + 2))


@pytest.fixture
def one_process(tmp_path):
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/meet", rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


def test_wrappers_change_names_and_nothing_else(one_process):
    model = build(CASES["bert tokens"])
    plain, modules = Depths.of(model).parameters, Depths.of(model).modules
    for wrapped, prefix in ((DistributedDataParallel(model), "module."), (torch.compile(model), "_orig_mod.")):
        assert Depths.of(wrapped).parameters == {prefix + name: depth for name, depth in plain.items()}
        inner = {prefix + name if name else prefix[:-1]: depth for name, depth in modules.items()}
        assert Depths.of(wrapped).modules == {"": 3} | inner
        assert Depths.of(wrapped).names == Depths.of(model).names


# Kinds of structure that no case above has, and the names of their blocks.
STAGES = {"image_size": 32, "hidden_sizes": [8] * 4, "num_attention_heads": [1] * 4}
FOUND = {
    "experts": (
        Case(TOKEN, lambda: hf.MixtralConfig(**LLAMA, num_local_experts=3, num_experts_per_tok=1), IDS_IN, 2, "score"),
        ("layers.0", "layers.1"),
    ),
    "lists that take turns": (
        Case(
            SEQUENCE,
            lambda: hf.XLMConfig(emb_dim=16, n_heads=2, n_layers=2, vocab_size=50, pad_token_id=0),
            IDS_IN,
            2,
            "sequence_summary",
        ),
        tuple(f"attentions.{i} + layer_norm1.{i} + ffns.{i} + layer_norm2.{i}" for i in range(2)),
    ),
    "stages and the layers between them in other lists": (
        Case(
            PICTURE,
            lambda: hf.PvtConfig(**STAGES, depths=[1, 2, 1, 1], sequence_reduction_ratios=[1] * 4),
            pixels(32),
            5,
            "pvt.encoder.layer_norm classifier",
            stem="stem",
        ),
        ("encoder.block.0.0", "encoder.block.1.0", "encoder.block.1.1", "encoder.block.2.0", "encoder.block.3.0"),
    ),
    "three towers": (
        Case(TOKEN, lambda: hf.CanineConfig(**TEXT, num_hash_buckets=16), IDS_IN, 4, "classifier"),
        ("initial_char_encoder.layer.0", "encoder.layer.0", "encoder.layer.1", "final_char_encoder.layer.0"),
    ),
    "no attention": (
        Case(
            CAUSAL,
            lambda: hf.MambaConfig(hidden_size=16, num_hidden_layers=2, state_size=4, vocab_size=50),
            IDS_IN,
            2,
            "backbone.norm_f",
        ),
        ("layers.0", "layers.1"),
    ),
    "queries": (
        Case(
            OBJECTS,
            lambda: hf.ConditionalDetrConfig(
                **DETR, use_timm_backbone=False, backbone_config=hf.ResNetConfig(**RESNET, out_features=["stage2"])
            ),
            pixels(32),
            8,
            "model.decoder.layernorm class_labels_classifier bbox_predictor",
            stem="stem",
        ),
        (
            *(f"backbone.model.encoder.stages.{i}.layers.{j}" for i, j in ((0, 0), (0, 1), (1, 0))),
            *(f"encoder.layers.{i}" for i in range(2)),
            *(f"decoder.layers.{i}" for i in range(3)),
        ),
    ),
    # timm gives its class-attention blocks the depths of blocks that feed them, and this one no order at all.
    "timm cait": (
        Case(PICTURE, timm("cait_xxs24_224", img_size=32, depth=3), pixels(32), 5, "", stem="stem"),
        (*(f"blocks.{i}" for i in range(3)), "blocks_token_only.0", "blocks_token_only.1"),
    ),
    "timm poolformer": (
        Case(PICTURE, timm("poolformer_s12"), pixels(32), 12, "", stem="stem"),
        tuple(f"stages.{i}.blocks.{j}" for i, n in enumerate((2, 2, 6, 2)) for j in range(n)),
    ),
}


@pytest.mark.parametrize("name", FOUND)
def test_other_structures_are_found_and_read_in_order(name):
    case, blocks = FOUND[name]
    model = build(case)
    depths, names = Depths.of(model).parameters, Depths.of(model).names
    assert names == (case.stem, *blocks, "head")
    with torch.no_grad(), ReadOrder(model) as order:
        model(**case.inputs)
    modules = dict(model.named_modules())
    inside = {path: model.base_model_prefix + "." + path for block in blocks for path in block.split(" + ")}
    within = {name for path in inside.values() for name in depths if below(path, name)}
    assert all(path in modules for path in inside.values()) and within
    read = [depths[name] for name in order.read if name in within]
    assert read == sorted(read) and set(read) == set(range(1, len(blocks) + 1))
    for frozen in (len(blocks) // 2, len(blocks) - 1):
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(depths[name] > frozen)
        assert set(range(frozen + 1, len(blocks) + 1)) <= {depths[name] for name in backward(model, case.inputs)}


@pytest.mark.parametrize(
    ("name", "patterns", "step"),
    [
        (
            "lists that take turns",
            ["transformer.attentions.*", "transformer.ffns.*"],
            "'transformer.ffns.0.lin1.weight' (depth 3, transformer.ffns.0) is read before"
            " 'transformer.attentions.1.q_lin.weight' (depth 2, transformer.attentions.1), which is given its result",
        ),
        (
            "stages and the layers between them in other lists",
            ["pvt.encoder.patch_embeddings.*", "pvt.encoder.block.*"],
            "(depth 5, pvt.encoder.block.0) is read before 'pvt.encoder.patch_embeddings.1.",
        ),
        (
            "three towers",
            ["canine.encoder.layer.*", "canine.final_char_encoder.layer.*", "canine.initial_char_encoder.layer.*"],
            "(depth 4, canine.initial_char_encoder.layer.0) is read before 'canine.encoder.layer.0.",
        ),
    ],
)
def test_declared_blocks_in_a_wrong_order_are_refused_with_the_step_that_went_back(name, patterns, step):
    with pytest.raises(UserError) as refusal:
        Depths.of(build(FOUND[name][0]), patterns)
    assert step in refusal.value.rule
    assert refusal.value.fix.startswith(f"Leave out --blocks: {len(FOUND[name][1])} blocks found in ")


def test_a_proof_leaves_no_trace():
    """BigBird's attention would stay dense after one short text, and BatchNorm could move."""
    sizes = SIZES | {"vocab_size": 50, "block_size": 4, "num_random_blocks": 1}
    model = hf.BigBirdForTokenClassification(hf.BigBirdConfig(**sizes)).train()
    model.bert.encoder.layer[0].eval()
    modes = [module.training for module in model.modules()]
    attention = [type(module).__name__ for module in model.modules()]
    drawn = torch.get_rng_state()
    called = []
    model.register_forward_hook(lambda *_: called.append(1))
    assert "proven" in Depths.of(model).origin
    assert torch.equal(torch.get_rng_state(), drawn) and not called
    assert [module.training for module in model.modules()] == modes
    assert [type(module).__name__ for module in model.modules()] == attention
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("name", ["experts", "bart sequence", "swin"])
def test_a_model_without_values_is_mapped_like_itself(name):
    case = CASES[name] if name in CASES else FOUND[name][0]
    real = Depths.of(build(case))
    maps._KNOWN.clear()
    with torch.device("meta"):
        empty = build(case)
    assert Depths.of(empty) == real


FNET = Case(SEQUENCE, lambda: hf.FNetConfig(**SIZES, vocab_size=50), IDS_IN, 2, "fnet.pooler classifier")


class Plain(nn.Module):
    """Not from transformers: ids -> two stages with a bridge between them -> the embeddings, used again as the head."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(4, 9, bias=False)  # registered first and read last
        self.table = nn.Embedding(9, 4)
        self.head.weight = self.table.weight
        self.lower = nn.ModuleList(nn.Linear(4, 4) for _ in range(2))
        self.bridge = nn.Linear(4, 4)
        self.upper = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4))
        self.norm = nn.LayerNorm(4)

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        states = self.table(input_ids)
        for layer in self.lower:
            states = layer(states)
        return self.head(self.norm(self.upper(self.bridge(states))))


class Silent(Plain):
    """It runs on nothing that could be made up for it."""

    def forward(self, one: torch.Tensor, another: torch.Tensor) -> torch.Tensor:
        return super().forward(one + another)


def test_an_architecture_that_cannot_be_run_is_refused_and_shown_how_to_declare_its_blocks():
    with pytest.raises(UserError, match="model Silent .*it does not run on rows made up for it") as refusal:
        Depths.of(Silent())
    assert '--blocks "lower.*" "upper.*"' in str(refusal.value)


def test_a_tower_that_is_not_run_is_said_to_be_mapped_as_a_whole():
    model = Plain()
    model.pictures = nn.ModuleList(nn.Linear(4, 4) for _ in range(2))
    depths = Depths.of(model)
    assert depths.origin.endswith("; rows of this kind do not run pictures.*, whose layers are not told apart")
    assert {depth for name, depth in depths.parameters.items() if below("pictures", name)} == {depths.head}


def test_blocks_that_cannot_be_proven_are_taken_as_declared_and_said_to_be():
    declared = Depths.of(Silent(), ["lower.*", "upper.*"])
    assert declared.parameters == Depths.of(Plain(), ["lower.*", "upper.*"]).parameters
    assert declared.origin.startswith("4 blocks as declared, and not proven: it does not run")


def test_experts_and_single_layers_in_a_row_are_no_blocks():
    """Of a block only the modules in a line count: the experts in it run side by side."""
    model = build(FOUND["experts"][0])
    assert all("experts" not in name for name in Depths.of(model).names)
    assert not any("feature_extractor" in name for name in Depths.of(build(CASES["wav2vec2"])).names)


def test_a_layer_that_nothing_reads_is_refused():
    model = build(CASES["bert tokens"])
    model.bert.encoder.layer.append(nn.Linear(16, 16))
    model.bert.encoder.layer[2].forward = lambda states, *args, **kwargs: states
    with pytest.raises(UserError, match=r"does not read its parameter 'bert\.encoder\.layer\.2\.weight'"):
        Depths.of(model)


def test_a_part_that_the_layout_does_not_name_is_refused():
    model = build(CASES["albert"])
    model.albert.encoder.gate = nn.Linear(16, 16)
    with pytest.raises(UserError, match=r"no certain place is known for its parameter 'albert\.encoder\.gate\.weight'"):
        Depths.of(model)


def test_parameters_that_a_wrapper_adds_are_not_guessed():
    prompted = get_peft_model(
        build(CASES["bert sequence"]), PromptEncoderConfig(task_type="SEQ_CLS", num_virtual_tokens=2)
    )
    with pytest.raises(UserError, match="PeftModelForSequenceClassification"):
        Depths.of(prompted)


def test_declared_blocks_place_an_unknown_architecture():
    model, blocks = build(FNET), ["fnet.encoder.layer.*"]
    depths = Depths.of(model, blocks).parameters
    assert list(depths) == [name for name, _ in model.named_parameters()]
    assert Depths.of(model, blocks).names == ("embeddings", "fnet.encoder.layer.0", "fnet.encoder.layer.1", "head")
    assert {name for name, depth in depths.items() if depth == 3} == {n for n in depths if below(FNET.head, n)}
    assert Depths.of(model, blocks).modules["fnet.encoder.layer.1.output.dropout"] == 2
    with torch.no_grad(), ReadOrder(model) as order:
        model(**FNET.inputs)
    read = [depths[name] for name in order.read]
    assert read == sorted(read) and len(read) == len(depths)


def test_declared_blocks_follow_the_order_of_the_patterns():
    assert Depths.of(Plain(), ["lower.*", "upper.*"]).parameters == {
        "head.weight": 0,  # tied to the embeddings
        "lower.0.weight": 1,
        "lower.0.bias": 1,
        "lower.1.weight": 2,
        "lower.1.bias": 2,
        "bridge.weight": 3,  # registered before the block that it feeds
        "bridge.bias": 3,
        "upper.0.weight": 3,
        "upper.0.bias": 3,
        "upper.2.weight": 4,
        "upper.2.bias": 4,
        "norm.weight": 5,
        "norm.bias": 5,
    }


def test_a_declaration_overrides_what_is_known():
    model = build(CASES["resnet"])
    assert Depths.of(model, ["resnet.encoder.stages.*"]).names[1:-1] == (
        "resnet.encoder.stages.0",
        "resnet.encoder.stages.1",
    )
    assert set(Depths.of(model, ["resnet.encoder.stages.*"]).parameters.values()) == {0, 1, 2, 3}


def test_a_pattern_that_matches_nothing_is_refused():
    with pytest.raises(UserError, match=r"blocks 'encoder\.layers\.\*'.*\"fnet\.encoder\.layer\.\*\""):
        Depths.of(build(FNET), ["encoder.layers.*"])


def test_a_model_that_chooses_among_texts_is_mapped_on_rows_of_several():
    sizes = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 8}
    model = hf.BertForMultipleChoice(hf.BertConfig(vocab_size=20, **sizes))
    depths = Depths.of(model)
    assert depths.names == ("embeddings", "encoder.layer.0", "encoder.layer.1", "head")
    assert depths.parameters["classifier.weight"] == depths.head == 3
