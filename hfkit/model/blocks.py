"""Proposes the blocks of a model: chains of numbered siblings that feed each other in a forward pass.

* A chain is a list of modules of which each is given the result of the one before it. Experts of one block are
  numbered as well, but are no chain.
* A stage (Swin, ConvNeXt, PVT) is a member of a chain that consists for the most part of another chain. It is replaced
  by the members of that one, once: a block may consist of numbered layers again.
* A block has at least two weight matrices. A list of single convolutions is a stem (Wav2Vec2), unless there is nothing
  else (MobileNetV1).
* Lists that take turns under one module and are as long as each other (XLM: attentions, norms, feed-forward parts) are
  one list of blocks, each with one member of every list. Of other chains that take turns, the largest has the blocks.
* Towers feed each other in one direction, or not at all: then they stand side by side, level at the top.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from torch import nn

from hfkit.model.reads import Reads, members, union

STAGE = 0.5  # of a chain's weights that must lie in chains inside its members, to call those members stages
NUMBERED = re.compile(r"(.*?)(\d+)")


@dataclass(frozen=True)
class Block:
    """Modules that learn together, and the set of their parameters."""

    paths: tuple[str, ...]
    parameters: int


@dataclass(frozen=True)
class Tower:
    """Blocks of which each feeds the next."""

    blocks: tuple[Block, ...]

    @property
    def parameters(self) -> int:
        return union(block.parameters for block in self.blocks)


def find_towers(model: nn.Module, base: str, reads: Reads) -> list[Tower]:
    """The towers below the module `base`, in the order in which they are first read; none if it has no such lists."""
    return _Search(model, reads).find(base)


def stack_towers(towers: Sequence[Tower], reads: Reads) -> list[list[Block]]:
    """The blocks at each depth from 1: towers that feed each other on top of each other, others side by side."""
    heights: dict[int, int] = {}  # of each tower with all that it feeds, in blocks
    for i in reversed(range(len(towers))):
        above = [heights[j] for j in heights if reads.feeds(towers[i].parameters, towers[j].parameters)]
        heights[i] = len(towers[i].blocks) + max(above, default=0)
    top = max(heights.values(), default=0)
    levels: list[list[Block]] = [[] for _ in range(top)]
    for i, tower in enumerate(towers):
        for place, block in enumerate(tower.blocks):
            levels[top - heights[i] + place].append(block)
    return levels


class _Search:
    """The search for towers in one model."""

    def __init__(self, model: nn.Module, reads: Reads) -> None:
        self.reads = reads
        self.modules = dict(model.named_modules(remove_duplicate=False))
        parameters = dict(model.named_parameters())
        numbers = {id(parameters[name]): i for i, name in enumerate(reads.names)}
        self.sets = {
            path: union(1 << numbers[id(parameter)] for parameter in module.parameters())
            for path, module in self.modules.items()
        }
        self.sizes = [parameters[name].numel() for name in reads.names]
        self.matrices = union(1 << i for i, name in enumerate(reads.names) if parameters[name].ndim > 1)
        self.places = {number: place for place, number in enumerate(reads.order)}

    def find(self, base: str) -> list[Tower]:
        chains = self._merge_turns(self._find_chains(base))
        towers = [self._split_stages(chain) for chain in chains]
        towers = [tower for tower in towers if self._is_rich(tower)] or towers
        chosen: list[Tower] = []
        for tower in sorted(towers, key=lambda tower: -self._weigh(tower.parameters)):
            if not any(self._take_turns(tower, other) for other in chosen):
                chosen.append(tower)
        return sorted(chosen, key=lambda tower: self._first_place(tower.parameters))

    def _find_chains(self, root: str) -> Iterator[Tower]:
        """The outermost chains below a module, in order of registration."""
        lists: dict[str, list[str]] = {}
        for name, _ in self.modules[root].named_children():
            numbered = NUMBERED.fullmatch(name)
            path = f"{root}.{name}" if root else name
            lists.setdefault(numbered[1] if numbered else f"{name}!", []).append(path)
        for prefix, paths in lists.items():
            chain = None if prefix.endswith("!") else self._make_chain(paths)
            holds_chains = chain is not None and self._is_staged(chain)
            # `layer1` to `layer4` are stages; `conv1` and `conv2` are parts.
            if chain is None or (prefix and not holds_chains):
                for path in paths:
                    yield from self._find_chains(path)
            elif len(chain.blocks) == 1 and holds_chains:
                yield from self._find_chains(chain.blocks[0].paths[0])  # a wrapper
            else:
                yield chain

    def _make_chain(self, paths: Sequence[str]) -> Tower | None:
        """Those of the modules that are read, if each feeds the next one."""
        blocks = [Block((path,), self.sets[path]) for path in paths if self.sets[path] & self.reads.read]
        blocks.sort(key=lambda block: self._first_place(block.parameters))
        in_line = all(self.reads.feeds(a.parameters, b.parameters) for a, b in zip(blocks, blocks[1:], strict=False))
        is_one_of_many = len(blocks) == 1 and sum(bool(self.sets[path]) for path in paths) > 1
        return Tower(tuple(blocks)) if blocks and in_line and not is_one_of_many else None

    def _merge_turns(self, chains: Iterable[Tower]) -> list[Tower]:
        """Lists of one module that take turns become one list."""
        merged: list[Tower] = []
        for chain in chains:
            place = next((i for i, other in enumerate(merged) if self._are_one_list(chain, other)), None)
            if place is None:
                merged.append(chain)
                continue
            pairs = zip(merged[place].blocks, chain.blocks, strict=True)
            merged[place] = Tower(tuple(Block(a.paths + b.paths, a.parameters | b.parameters) for a, b in pairs))
        return merged

    def _are_one_list(self, chain: Tower, other: Tower) -> bool:
        holders = {tower.blocks[0].paths[0].rsplit(".", 2)[0] for tower in (chain, other)}
        return (
            len(holders) == 1
            and len(chain.blocks) == len(other.blocks)
            and not self._is_staged(chain)
            and not self._is_staged(other)
            and self._take_turns(chain, other)
        )

    def _take_turns(self, tower: Tower, other: Tower) -> bool:
        a, b = tower.parameters, other.parameters
        return self.reads.feeds(a, b) and self.reads.feeds(b, a)

    def _split_stages(self, chain: Tower) -> Tower:
        """The chain, with its stages replaced by the blocks in them."""
        if not self._is_staged(chain):
            return chain
        found: list[Block] = []
        for stage in chain.blocks:
            inside = [block for tower in self._chains_inside(stage, alike=False) for block in tower.blocks]
            # Between stages there may be a layer that makes pictures smaller (SwiftFormer), which is no block.
            found += inside or ([stage] if self._is_rich(Tower((stage,))) else [])
        return Tower(tuple(found))

    def _is_staged(self, chain: Tower) -> bool:
        inside = union(tower.parameters for block in chain.blocks for tower in self._chains_inside(block))
        return self._weigh(inside) >= STAGE * max(1, self._weigh(chain.parameters))

    def _chains_inside(self, block: Block, *, alike: bool = True) -> list[Tower]:
        """Chains inside a block that could be the blocks of a stage, in the order in which they are read."""
        if len(block.paths) > 1:
            return []
        chains = [chain for chain in self._find_chains(block.paths[0]) if self._is_rich(chain)]
        if alike:
            chains = [chain for chain in chains if self._is_alike(chain)]
        return sorted(chains, key=lambda chain: self._first_place(chain.parameters))

    def _is_alike(self, chain: Tower) -> bool:
        """Whether some members are of one class: T5's attention and feed-forward part, in turn, are no blocks."""
        classes = [type(self.modules[block.paths[0]]) for block in chain.blocks]
        return len(classes) == 1 or len(set(classes)) < len(classes)

    def _is_rich(self, chain: Tower) -> bool:
        return (chain.parameters & self.matrices).bit_count() >= 2 * len(chain.blocks)

    def _first_place(self, parameters: int) -> int:
        return min(self.places[i] for i in members(parameters & self.reads.read))

    def _weigh(self, parameters: int) -> int:
        """How many numbers a set of parameters has."""
        return sum(self.sizes[i] for i in members(parameters))
