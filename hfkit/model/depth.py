"""How deep every parameter sits: 0 embeddings or stem, 1..N blocks in forward order, N+1 head.

A depth is assigned only where it is certain:

* `LAYOUTS` names the architecture, and names every part of its base model; the tests prove each row by the order in
  which a forward pass first reads the parameters. A part that a row does not name is refused, not guessed.
* Whatever lies outside the base model (`classifier`, `qa_outputs`, `lm_head`, `cls`, …) is the task's head.
* timm models state the order themselves (`group_matcher`), and which module is the classifier.
* Any other architecture is refused until its blocks are declared.

Where the parts without a number of their own belong:

* Embeddings of every kind are 0: positions, class, distillation and mask tokens, detection tokens, the norm after the
  embeddings, a projection into the blocks' width, a position bias that all blocks share; of a decoder too. So is
  Wav2Vec2's stack of convolutions with its projection and its convolutional positions.
* What is shared or tied sits where it is first needed: an LM head tied to the embeddings is 0, ALBERT's one shared
  block is one depth however often it runs, T5's position bias belongs to the first block, which holds it.
* The final norm and the pooler are N+1, with the head that reads them. An encoder's final norm is different: it belongs
  to the last encoder block where a decoder follows, and always in T5 and Whisper.
* Stages are flattened to blocks. A downsampling layer belongs to a block of the stage that holds it: in ConvNeXt to the
  first, which it feeds, in Swin to the last, which it follows. A convolution after the last block belongs to that block
  (EfficientNet, MobileNetV2): it is a pretrained feature, not part of the head. MobileNetV1's depthwise and pointwise
  convolutions are a block each.
* DETR: the backbone's stem and blocks, encoder blocks, decoder blocks. The input projection belongs to the first
  encoder block and the object queries to the first decoder block, where they enter.
* CLIP's towers run side by side: the last blocks of both are N, the ones before N-1, and so on; the projections and the
  temperature are the head.
* timm: the order of its authors, who put a final norm with the last block. What they leave after the blocks, such as
  VGG's two hidden layers or MobileNetV3's last convolution, is one more block; the head is the classifier alone.
* An adapter (peft) has the depth of the module it adapts, a saved copy of a head that of the head.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from torch import nn

from hfkit.errors import UserError


@dataclass(frozen=True)
class Layout:
    """The parts of one architecture: module paths below its base model, separated by spaces; `*` is one path segment.

    Heads are listed in `tail` only for classes that have no base model under them (T5, CLIP, Whisper's encoder).
    """

    stem: str  # depth 0
    blocks: str  # one block per match, in the order given
    tail: str = ""  # depth N+1: after the last block
    joins: Mapping[str, str] = field(default_factory=dict)  # part -> its block: number 0, or -1 for the last
    late: Mapping[str, str] = field(default_factory=dict)  # part of the stem -> config flag that moves it to the tail
    parallel: bool = False  # the patterns of `blocks` are towers side by side, level at the top


# model types -> layout.
_ROWS = {
    "bert roberta xlm-roberta camembert": Layout("embeddings", "encoder.layer.*", "pooler"),
    "electra": Layout("embeddings embeddings_project", "encoder.layer.*"),
    "distilbert": Layout("embeddings", "transformer.layer.*"),
    "albert": Layout("embeddings encoder.embedding_hidden_mapping_in", "encoder.albert_layer_groups.*", "pooler"),
    "mpnet": Layout("embeddings encoder.relative_attention_bias", "encoder.layer.*", "pooler"),
    "deberta deberta-v2": Layout(
        "embeddings encoder.rel_embeddings encoder.LayerNorm",
        "encoder.layer.*",
        joins={"encoder.conv": "encoder.layer.0"},  # it reads what the first layer returns
    ),
    "modernbert": Layout("embeddings", "layers.*", "final_norm"),
    "esm": Layout("embeddings", "encoder.layer.*", "encoder.emb_layer_norm_after pooler contact_head"),
    "xlnet": Layout("word_embedding mask_emb", "layer.*"),
    "gpt2 gpt_neo gptj bloom": Layout("wte wpe word_embeddings word_embeddings_layernorm", "h.*", "ln_f"),
    "gpt_neox": Layout("embed_in", "layers.*", "final_layer_norm"),
    "llama mistral qwen2 qwen3 gemma gemma2 phi3 olmo2 smollm3 granite": Layout("embed_tokens", "layers.*", "norm"),
    "t5 mt5 umt5": Layout(
        "shared encoder.embed_tokens decoder.embed_tokens",
        "encoder.block.* decoder.block.*",
        "decoder.final_layer_norm lm_head classification_head qa_outputs",
        joins={"encoder.final_layer_norm": "encoder.block.-1"},
    ),
    "bart mbart pegasus marian m2m_100": Layout(
        "shared encoder.embed_tokens encoder.embed_positions encoder.layernorm_embedding "
        "decoder.embed_tokens decoder.embed_positions decoder.layernorm_embedding",
        "encoder.layers.* decoder.layers.*",
        "decoder.layer_norm",
        joins={"encoder.layer_norm": "encoder.layers.-1"},
    ),
    "whisper": Layout(
        "encoder.conv1 encoder.conv2 encoder.embed_positions decoder.embed_tokens decoder.embed_positions",
        "encoder.layers.* decoder.layers.*",
        "decoder.layer_norm layer_weights projector classifier",
        joins={"encoder.layer_norm": "encoder.layers.-1"},
    ),
    "wav2vec2 hubert wavlm": Layout(
        "feature_extractor feature_projection masked_spec_embed encoder.pos_conv_embed",
        "encoder.layers.*",
        "adapter",
        late={"encoder.layer_norm": "do_stable_layer_norm"},
    ),
    "audio-spectrogram-transformer vit deit vit_msn": Layout("embeddings", "layers.*", "layernorm pooler"),
    "beit": Layout("embeddings shared_position_bias", "layers.*", "layernorm pooler"),
    "dinov2 dinov2_with_registers": Layout("embeddings", "encoder.layer.*", "layernorm"),
    "yolos": Layout("embeddings encoder.interpolation", "encoder.layer.*", "layernorm pooler"),
    "swin swinv2": Layout(
        "embeddings",
        "encoder.layers.*.blocks.*",
        "layernorm",
        joins={"encoder.layers.*.downsample": "encoder.layers.*.blocks.-1"},
    ),
    "convnext convnextv2": Layout(
        "embeddings",
        "encoder.stages.*.layers.*",
        "layernorm",
        joins={"encoder.stages.*.downsampling_layer": "encoder.stages.*.layers.0"},
    ),
    "resnet regnet": Layout("embedder", "encoder.stages.*.layers.*"),
    "efficientnet": Layout(
        "embeddings",
        "encoder.blocks.*",
        joins={"encoder.top_conv": "encoder.blocks.-1", "encoder.top_bn": "encoder.blocks.-1"},
    ),
    "mobilenet_v1": Layout("conv_stem", "layer.*"),
    "mobilenet_v2": Layout("conv_stem", "layer.*", joins={"conv_1x1": "layer.-1"}),
    "clip": Layout(
        "text_model.embeddings vision_model.embeddings vision_model.pre_layrnorm",
        "text_model.encoder.layers.* vision_model.encoder.layers.*",
        "text_model.final_layer_norm vision_model.post_layernorm "
        "text_projection visual_projection logit_scale classifier",
        parallel=True,
    ),
    "detr": Layout(
        "backbone.model.embedder backbone.model.conv1",
        # The backbone is transformers' ResNet or, in the published checkpoints, timm's.
        "backbone.model.encoder.stages.*.layers.* backbone.model.layer*.* encoder.layers.* decoder.layers.*",
        "decoder.layernorm",
        joins={"input_projection": "encoder.layers.0", "query_position_embeddings": "decoder.layers.0"},
    ),
}
LAYOUTS = {model_type: layout for row, layout in _ROWS.items() for model_type in row.split()}


@dataclass(frozen=True)
class Depths:
    """How deep every part of one model sits. Rates, freezing, caching and plots ask this, and nothing else."""

    parameters: Mapping[str, int]  # under the names of `model.named_parameters()`, each exactly once
    modules: Mapping[str, int]  # under the names of `model.named_modules()`; "" is the model itself
    names: tuple[str, ...]  # of each depth, for people: "embeddings" or "stem", the path of each block, "head"

    @classmethod
    def of(cls, model: nn.Module, blocks: Sequence[str] = ()) -> "Depths":
        """The depths of a model.

        Args:
            model: may be wrapped, by peft or for several processes.
            blocks: declares the blocks of an architecture that hfkit does not know: patterns of module paths in forward
                order, such as "backbone.layers.*", where `*` is one path segment. Every module that matches is one
                block. Of the other parameters, those outside the base model are the head. Inside it, those registered
                before the first block are 0, those after the last are N+1, and those in between belong to the block
                that comes next.

        Raises:
            UserError: the architecture or one of its parts has no certain place, or a pattern matches nothing.
        """
        by_identity, paths = _locate(model, blocks)
        parameters = {name: by_identity[id(parameter)] for name, parameter in model.named_parameters()}
        tables = [module for module in model.modules() if isinstance(module, nn.Embedding)]
        reads_ids = any(by_identity[id(table.weight)] == 0 for table in tables)
        names = ("embeddings" if reads_ids else "stem", *paths, "head")
        return cls(parameters, _module_depths(model, by_identity, head=len(paths) + 1), names)

    @property
    def head(self) -> int:
        """The depth of the head, N + 1. A head that is tied to the embeddings has no parameters there."""
        return len(self.names) - 1


def _module_depths(model: nn.Module, by_identity: Mapping[int, int], head: int) -> dict[str, int]:
    """The depth of every module: once all depths up to it are frozen, the module may be put in `eval()`.

    A module with parameters is as deep as the deepest of them. One exception: in the base model, a module that spans
    several blocks is no deeper than the last of them, even if it also holds the final norm. What such a module draws by
    itself (a functional dropout, the layers or frames it leaves out) it draws among the blocks.

    A module without parameters (dropout, activation) is as deep as the layer just before it, provided that layers stand
    on both sides of it: GPT-2's dropout behind the embeddings is 0. At the end of its container it is as deep as the
    container.
    """
    spanning = _in_base_model(model)
    modules = dict(model.named_modules())
    depths: dict[str, int] = {}

    def below_head(module: nn.Module) -> list[int]:
        return [depth for p in module.parameters() if (depth := by_identity[id(p)]) < head]

    for name, module in modules.items():
        own = [by_identity[id(parameter)] for parameter in module.parameters()]
        if own:
            among_blocks = below_head(module) if id(module) in spanning else []
            depths[name] = max(among_blocks or own)
            continue
        container, _, itself = name.rpartition(".")
        siblings = list(modules[container].named_children())
        place = [sibling for sibling, _ in siblings].index(itself)
        before, after = ([d for _, s in part if (d := below_head(s))] for part in (siblings[:place], siblings[place:]))
        depths[name] = max(before[-1]) if before and after else depths[container]
    return depths


def _locate(model: nn.Module, blocks: Sequence[str]) -> tuple[dict[int, int], list[str]]:
    """(id of each parameter -> depth, name of each block). Identities see through wrappers and tied weights."""
    core = _core(model)
    parameters = dict(core.named_parameters(remove_duplicate=False))
    if blocks:
        depths, names = _place_by_declaration(core, list(parameters), blocks)
    elif _model_type(core) == "timm_wrapper":
        depths, names = _place_by_timm(core)
    elif _model_type(core) in LAYOUTS:
        depths, names = _place_by_layout(core, list(parameters), LAYOUTS[_model_type(core)])
    else:
        raise _refusal(core, "the forward order of its blocks is not known")
    by_identity: dict[int, int] = {}
    for name, depth in depths.items():
        # A tied weight is needed from its lowest place on: frozen there, it is frozen everywhere.
        identity = id(parameters[name])
        by_identity[identity] = min(depth, by_identity.get(identity, depth))
    return by_identity, names


def _in_base_model(model: nn.Module) -> set[int]:
    """Identities of the modules that hold nothing of the task's head: the base model, or what is below the model."""
    core = _core(model)
    names = [name for name, _ in core.named_parameters(remove_duplicate=False)]
    base = _base(core, names)
    root = core.get_submodule(base.rstrip("."))
    holds_head = all(name.startswith(base) for name in names)  # also timm's, whose base model ends in the classifier
    return {id(module) for module in root.modules() if not (holds_head and module is root)}


def _core(model: nn.Module) -> nn.Module:
    """The transformers model inside wrappers that add no parameters of their own; otherwise `model` itself."""
    from transformers import PreTrainedModel

    core = next((module for module in model.modules() if isinstance(module, PreTrainedModel)), model)
    held = {id(parameter) for parameter in core.parameters()}
    return core if all(id(parameter) in held for parameter in model.parameters()) else model


def _model_type(core: nn.Module) -> str | None:
    from transformers import PreTrainedModel

    return core.config.model_type if isinstance(core, PreTrainedModel) else None


def _base(core: nn.Module, names: Iterable[str]) -> str:
    """The path of the base model with its dot, or "" where the model has none below it."""
    from transformers import PreTrainedModel

    base = f"{core.base_model_prefix}." if isinstance(core, PreTrainedModel) else ""
    return base if any(name.startswith(base) for name in names) else ""


def _match(pattern: str, name: str) -> re.Match[str] | None:
    """The module that `pattern` finds at the start of the parameter's name, whole path segments only."""
    return re.match(re.escape(pattern).replace(r"\*", r"([^.]+)") + r"(?=\.|$)", name)


def _first_match(patterns: Iterable[str], name: str) -> re.Match[str] | None:
    return next((found for pattern in patterns if (found := _match(pattern, name))), None)


def _towers(patterns: Sequence[str], names: Iterable[str]) -> list[list[str]]:
    """For each pattern the modules it finds, in order of registration."""
    return [list(dict.fromkeys(m[0] for name in names if (m := _match(pattern, name)))) for pattern in patterns]


def _place_by_layout(core: nn.Module, names: list[str], layout: Layout) -> tuple[dict[str, int], list[str]]:
    base = _base(core, names)
    inside = {name: name.removeprefix(base) for name in names if name.startswith(base)}
    towers = _towers(layout.blocks.split(), inside.values())
    if layout.parallel:
        top = max(map(len, towers))
        blocks = {path: top - len(tower) + i for tower in towers for i, path in enumerate(tower, start=1)}
    else:
        blocks = {path: depth for depth, path in enumerate(chain(*towers), start=1)}
    if not blocks:
        raise _refusal(core, "none of the blocks of its architecture was found")
    head = max(blocks.values()) + 1

    def depth_of(name: str) -> int:
        if found := _first_match(layout.blocks.split(), name):
            return blocks[found[0]]
        for part, block in layout.joins.items():
            if found := _match(part, name):
                return _depth_of_joined(block, found.groups(), blocks)
        for part, flag in layout.late.items():
            if _match(part, name):
                return head if getattr(core.config, flag) else 0
        if _first_match(layout.stem.split(), name):
            return 0
        if _first_match(layout.tail.split(), name):
            return head
        raise _refusal(core, f"no certain place is known for its parameter '{base}{name}'")

    depths = {name: depth_of(inside[name]) if name in inside else head for name in names}
    return depths, [" + ".join(path for path in blocks if blocks[path] == depth) for depth in range(1, head)]


def _depth_of_joined(block: str, numbers: Iterable[str], blocks: Mapping[str, int]) -> int:
    """Depth of the block that a part belongs to; the part's own numbers fill the `*` of the block's path."""
    for number in numbers:
        block = block.replace("*", number, 1)
    container, _, position = block.rpartition(".")
    siblings = [depth for path, depth in blocks.items() if path.rpartition(".")[0] == container]
    return siblings[int(position)]


def _place_by_timm(core: nn.Module) -> tuple[dict[str, int], list[str]]:
    from timm.models import group_parameters

    heads = core.timm_model.pretrained_cfg.get("classifier") or ()
    heads = (heads,) if isinstance(heads, str) else heads
    matcher = getattr(core.timm_model, "group_matcher", None)
    if not heads or matcher is None:
        raise _refusal(core, "timm states no order of its layers")
    stated = group_parameters(core.timm_model, matcher(), reverse=True)
    # timm numbers last what it does not match: the classifier, and sometimes layers before it.
    body = {path: place for path, place in stated.items() if not _first_match(heads, path)}
    places = sorted(set(body.values()))
    if len(places) < 2:
        raise _refusal(core, "timm puts all its layers at one place")
    names = [_shared_path([path for path in body if body[path] == place]) for place in places[1:]]
    depths = {path: places.index(body[path]) if path in body else len(places) for path in stated}
    return {f"timm_model.{path}": depth for path, depth in depths.items()}, names


def _shared_path(paths: list[str]) -> str:
    """The module path that the first parameter has in common with all others under the same top-level module."""
    modules = [path.split(".")[:-1] for path in paths if "." in path] or [[paths[0]]]
    shared = modules[0]
    for module in modules:
        if module[0] == shared[0]:
            shared = [a for i, a in enumerate(shared) if module[: i + 1] == shared[: i + 1]]
    return ".".join(shared)


def _place_by_declaration(
    core: nn.Module, names: list[str], patterns: Sequence[str]
) -> tuple[dict[str, int], list[str]]:
    towers = _towers(patterns, names)
    for pattern, tower in zip(patterns, towers, strict=True):
        if not tower:
            raise UserError(
                f"blocks '{pattern}'",
                f"no module of {type(core).__name__} that has parameters matches it",
                f"Give module paths such as {_containers(core)}",
            )
    blocks = {path: depth for depth, path in enumerate(dict.fromkeys(chain(*towers)), start=1)}
    head, base = len(blocks) + 1, _base(core, names)
    depths, following, first = {}, head, names[0]
    for name in reversed(names):
        found = _first_match(patterns, name)
        if found:
            following, first = blocks[found[0]], name
        depths[name] = following if found or name.startswith(base) else head
    for name in names[: names.index(first)]:
        depths[name] = 0 if name.startswith(base) else head
    return depths, list(blocks)


def _containers(core: nn.Module) -> str:
    """Where the base model keeps numbered modules, as patterns: '"encoder.layer.*" "decoder.layer.*"'."""
    names = [name for name, _ in core.named_parameters()]
    inside = [name for name in names if name.startswith(_base(core, names))]
    found = dict.fromkeys(f'"{m[1]}.*"' for name in inside if (m := re.match(r"(.+?)\.\d+\.", name)))
    return " ".join(list(found)[:4]) or '"backbone.layers.*"'


def _refusal(core: nn.Module, rule: str) -> UserError:
    return UserError(
        f"model {type(core).__name__} (model_type {_model_type(core)!r})",
        rule,
        "Declare its blocks in forward order, every module that matches a pattern being one block: "
        f"--blocks {_containers(core)}, or blocks=(…) in Python",
    )
