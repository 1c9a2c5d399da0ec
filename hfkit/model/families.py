"""The families of backbones that are proven to work, as README's table has them.

tests/recipes/test_families.py takes each of them the whole path, on a tiny checkpoint; a family without one has no row
here.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Family:
    """A row of the table."""

    name: str
    modality: Literal["text", "image"]
    model_class: str  # of transformers, that a checkpoint is loaded with
    model_type: str  # what its configuration calls itself
    depths: str  # what lies between the embeddings or stem and the head, one depth each
    note: str = ""


LAST, NO_PADDING = "the last token is classified", "padded with its end token, and the last token is classified"
LEFT, END = "padded on the left, and the last token is classified", "the end token is classified"
NORM, TIMM = "BatchNorm keeps still while its depth is frozen", "through timm"
TWO_PARTS = "encoder layers, then decoder layers"

FAMILIES = (
    Family("BERT", "text", "BertForSequenceClassification", "bert", "layers"),
    Family("DistilBERT", "text", "DistilBertForSequenceClassification", "distilbert", "layers"),
    Family("RoBERTa", "text", "RobertaForSequenceClassification", "roberta", "layers"),
    Family("XLM-RoBERTa", "text", "XLMRobertaForSequenceClassification", "xlm-roberta", "layers"),
    Family("CamemBERT", "text", "CamembertForSequenceClassification", "camembert", "layers"),
    Family(
        "ALBERT",
        "text",
        "AlbertForSequenceClassification",
        "albert",
        "groups of shared layers",
        "one group in the published checkpoints: the backbone thaws at once",
    ),
    Family("ELECTRA", "text", "ElectraForSequenceClassification", "electra", "layers"),
    Family("MPNet", "text", "MPNetForSequenceClassification", "mpnet", "layers"),
    Family("DeBERTa-v2, -v3", "text", "DebertaV2ForSequenceClassification", "deberta-v2", "layers"),
    Family("ModernBERT", "text", "ModernBertForSequenceClassification", "modernbert", "layers"),
    Family("XLNet", "text", "XLNetForSequenceClassification", "xlnet", "layers", LEFT),
    Family("GPT-2", "text", "GPT2ForSequenceClassification", "gpt2", "layers", NO_PADDING),
    Family("Llama", "text", "LlamaForSequenceClassification", "llama", "layers", NO_PADDING),
    Family("Mistral", "text", "MistralForSequenceClassification", "mistral", "layers", LAST),
    Family("Qwen2", "text", "Qwen2ForSequenceClassification", "qwen2", "layers", LAST),
    Family("Qwen3", "text", "Qwen3ForSequenceClassification", "qwen3", "layers", LAST),
    Family("Gemma", "text", "GemmaForSequenceClassification", "gemma", "layers", LAST),
    Family("Gemma 2", "text", "Gemma2ForSequenceClassification", "gemma2", "layers", LAST),
    Family("Phi-3", "text", "Phi3ForSequenceClassification", "phi3", "layers", LAST),
    Family("GPT-NeoX, Pythia", "text", "GPTNeoXForSequenceClassification", "gpt_neox", "layers", NO_PADDING),
    Family("BLOOM", "text", "BloomForSequenceClassification", "bloom", "layers", LEFT),
    Family("T5", "text", "T5ForSequenceClassification", "t5", TWO_PARTS, END),
    Family("mT5", "text", "MT5ForSequenceClassification", "mt5", TWO_PARTS, END),
    Family("BART", "text", "BartForSequenceClassification", "bart", TWO_PARTS, END),
    Family("ResNet", "image", "ResNetForImageClassification", "resnet", "residual blocks", NORM),
    Family("EfficientNet", "image", "EfficientNetForImageClassification", "efficientnet", "MBConv blocks", NORM),
    Family("MobileNetV1", "image", "MobileNetV1ForImageClassification", "mobilenet_v1", "convolutions", NORM),
    Family(
        "MobileNetV2", "image", "MobileNetV2ForImageClassification", "mobilenet_v2", "inverted residual blocks", NORM
    ),
    Family("ConvNeXt", "image", "ConvNextForImageClassification", "convnext", "blocks"),
    Family("ConvNeXt V2", "image", "ConvNextV2ForImageClassification", "convnextv2", "blocks"),
    Family("ViT", "image", "ViTForImageClassification", "vit", "layers"),
    Family("DeiT", "image", "DeiTForImageClassification", "deit", "layers"),
    Family(
        "DeiT, distilled",
        "image",
        "DeiTForImageClassificationWithTeacher",
        "deit",
        "layers",
        "two heads: the mean of their logits decides, and both learn from it",
    ),
    Family("BEiT", "image", "BeitForImageClassification", "beit", "layers"),
    Family("Swin", "image", "SwinForImageClassification", "swin", "blocks"),
    Family("Swin V2", "image", "Swinv2ForImageClassification", "swinv2", "blocks"),
    Family("CLIP", "image", "CLIPForImageClassification", "clip", "layers", "its image tower"),
    Family("DINOv2", "image", "Dinov2ForImageClassification", "dinov2", "layers"),
    Family(
        "DINOv2 with registers", "image", "Dinov2WithRegistersForImageClassification", "dinov2_with_registers", "layers"
    ),
    Family(
        "VGG16",
        "image",
        "TimmWrapperForImageClassification",
        "timm_wrapper",
        "convolutions, then the hidden layers",
        TIMM,
    ),
    Family(
        "VGG19",
        "image",
        "TimmWrapperForImageClassification",
        "timm_wrapper",
        "convolutions, then the hidden layers",
        TIMM,
    ),
    Family(
        "Inception-v3",
        "image",
        "TimmWrapperForImageClassification",
        "timm_wrapper",
        "convolutions together, then Inception modules",
        f"{TIMM}; {NORM}",
    ),
    Family(
        "MobileNetV3",
        "image",
        "TimmWrapperForImageClassification",
        "timm_wrapper",
        "blocks, then the last convolution",
        f"{TIMM}; {NORM}",
    ),
    Family("EfficientNetV2", "image", "TimmWrapperForImageClassification", "timm_wrapper", "blocks", f"{TIMM}; {NORM}"),
    Family("RegNetY", "image", "TimmWrapperForImageClassification", "timm_wrapper", "blocks", f"{TIMM}; {NORM}"),
)
