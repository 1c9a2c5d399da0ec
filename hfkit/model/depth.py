"""How deep every parameter sits: 0 embeddings or stem, 1..N blocks in forward order, N+1 head.

A depth is assigned only where it is certain:

* The structure of a model proposes its blocks (`blocks.py`), and a recorded forward pass proves them (`reads.py`,
  `proof.py`): nothing that a parameter is given was computed by a deeper one.
* Whatever lies outside the base model (`classifier`, `qa_outputs`, `lm_head`, `cls`, …) is the task's head.
* timm models state an order themselves (`group_matcher`), and which module is the classifier. It is taken if it can be
  proven; otherwise their structure proposes.
* `LAYOUTS` (`layouts.py`) names the few architectures that a forward pass does not decide, with every part of their
  base model.
* Declared blocks are proven like found ones. Whatever cannot be proven is refused.

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
* An adapter (peft) has the depth of the module it adapts, a saved copy of a head that of the head. Virtual tokens are
  where they enter: a prompt 0, with the embeddings, a prefix 1, with the first block that reads it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import nn

from hfkit.model.maps import find_map
from hfkit.model.paths import base_of, find_core, find_virtual_tokens


@dataclass(frozen=True)
class Depths:
    """How deep every part of one model sits. Rates, freezing, caching and plots ask this, and nothing else."""

    parameters: Mapping[str, int]  # under the names of `model.named_parameters()`, each exactly once
    modules: Mapping[str, int]  # under the names of `model.named_modules()`; "" is the model itself
    names: tuple[str, ...]  # of each depth, for people: "embeddings" or "stem", the path of each block, "head"
    origin: str = ""  # how the map was found and proven, in words; nothing for an architecture that is listed

    @classmethod
    def of(cls, model: nn.Module, blocks: Sequence[str] = ()) -> "Depths":
        """The depths of a model.

        Args:
            model: may be wrapped, by peft or for several processes.
            blocks: declares other blocks than those that would be found: patterns of module paths in forward order,
                such as "backbone.layers.*", where `*` is one path segment. Every module that matches is one block. The
                other parameters have their places by the same rules (see proof.py). If the model runs on no rows made
                up for it, nothing is proven, `origin` says so, and the order of registration decides: 0 before the
                first block, N+1 after the last and outside the base model, in between the block that comes next.

        Raises:
            UserError: the blocks or one of the other parts cannot be proven to be in order, or a pattern matches
                nothing.
        """
        core = find_core(model)
        found = find_map(core, blocks)
        by_identity: dict[int, int] = {}
        for name, parameter in core.named_parameters(remove_duplicate=False):
            # A tied weight is needed from its lowest place on: frozen there, it is frozen everywhere.
            by_identity[id(parameter)] = min(found.depths[name], by_identity.get(id(parameter), found.depths[name]))
        if core is not model and any(id(parameter) not in by_identity for parameter in model.parameters()):
            by_identity |= find_virtual_tokens(model)
        parameters = {name: by_identity[id(parameter)] for name, parameter in model.named_parameters()}
        tables = [module for module in model.modules() if isinstance(module, nn.Embedding)]
        reads_ids = any(by_identity[id(table.weight)] == 0 for table in tables)
        names = ("embeddings" if reads_ids else "stem", *found.blocks, "head")
        return cls(parameters, _module_depths(model, by_identity, head=len(names) - 1), names, found.origin)

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


def _in_base_model(model: nn.Module) -> set[int]:
    """Identities of the modules that hold nothing of the task's head: the base model, or what is below the model."""
    core = find_core(model)
    names = [name for name, _ in core.named_parameters(remove_duplicate=False)]
    base = base_of(core, names)
    root = core.get_submodule(base.rstrip("."))
    holds_head = all(name.startswith(base) for name in names)  # also timm's, whose base model ends in the classifier
    return {id(module) for module in root.modules() if not (holds_head and module is root)}
