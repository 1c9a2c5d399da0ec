"""Architectures whose depths a forward pass cannot decide, and the layout of each."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain

from torch import nn

from hfkit.model.paths import base_of, find_modules, first_match, match_path
from hfkit.model.proof import Unproven


@dataclass(frozen=True)
class Layout:
    """The parts of one architecture: module paths below its base model, separated by spaces; `*` is one path segment.

    Heads are listed in `tail` only for classes that have no base model under them (T5, Whisper's encoder).
    """

    stem: str  # depth 0
    blocks: str  # one block per match, in the order given
    tail: str = ""  # depth N+1: after the last block
    joins: Mapping[str, str] = field(default_factory=dict)  # part -> its block: number 0, or -1 for the last


# model types -> layout, each with the reason why a forward pass does not decide it.
_ROWS = {
    # One block that runs many times: its first reads say nothing about the later ones.
    "albert": Layout("embeddings encoder.embedding_hidden_mapping_in", "encoder.albert_layer_groups.*", "pooler"),
    # A convolution runs beside the first layer, and is added to what that one returns.
    "deberta-v2": Layout(
        "embeddings encoder.rel_embeddings encoder.LayerNorm",
        "encoder.layer.*",
        joins={"encoder.conv": "encoder.layer.0"},
    ),
    # With an encoder alone its final norm would be N+1, and moved when the same checkpoint has a decoder.
    "t5 mt5 umt5": Layout(
        "shared encoder.embed_tokens decoder.embed_tokens",
        "encoder.block.* decoder.block.*",
        "decoder.final_layer_norm lm_head classification_head qa_outputs",
        joins={"encoder.final_layer_norm": "encoder.block.-1"},
    ),
    "whisper": Layout(
        "encoder.conv1 encoder.conv2 encoder.embed_positions decoder.embed_tokens decoder.embed_positions",
        "encoder.layers.* decoder.layers.*",
        "decoder.layer_norm layer_weights projector classifier",
        joins={"encoder.layer_norm": "encoder.layers.-1"},
    ),
}
LAYOUTS = {model_type: layout for row, layout in _ROWS.items() for model_type in row.split()}


def place_by_layout(core: nn.Module, names: list[str], layout: Layout) -> tuple[dict[str, int], list[str]]:
    base = base_of(core, names)
    inside = {name: name.removeprefix(base) for name in names if name.startswith(base)}
    towers = find_modules(layout.blocks.split(), inside.values())
    blocks = {path: depth for depth, path in enumerate(chain(*towers), start=1)}
    if not blocks:
        raise Unproven("none of the blocks of its architecture was found")
    head = max(blocks.values()) + 1

    def depth_of(name: str) -> int:
        if found := first_match(layout.blocks.split(), name):
            return blocks[found[0]]
        for part, block in layout.joins.items():
            if found := match_path(part, name):
                return _depth_of_joined(block, found.groups(), blocks)
        if first_match(layout.stem.split(), name):
            return 0
        if first_match(layout.tail.split(), name):
            return head
        raise Unproven(f"no certain place is known for its parameter '{base}{name}'")

    depths = {name: depth_of(inside[name]) if name in inside else head for name in names}
    return depths, list(blocks)


def _depth_of_joined(block: str, numbers: Iterable[str], blocks: Mapping[str, int]) -> int:
    """Depth of the block that a part belongs to; the part's own numbers fill the `*` of the block's path."""
    for number in numbers:
        block = block.replace("*", number, 1)
    container, _, position = block.rpartition(".")
    siblings = [depth for path, depth in blocks.items() if path.rpartition(".")[0] == container]
    return siblings[int(position)]
