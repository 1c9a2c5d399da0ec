"""The depth of every parameter from the blocks and a recorded forward pass, and the proof that it is right.

A map is proven if nothing that a parameter is given was computed by a deeper one. Then everything below a depth can be
frozen, cached or left out of the backward pass, and what lies above it sees no difference.

Where the parameters outside the blocks belong follows from what they are given and what they feed:

* no block before them: depth 0, if they are read before all blocks, or below the module that holds only the tower they
  feed (a decoder's embeddings, a position bias that all blocks share); otherwise they are queries, and belong to the
  first block they enter;
* between two blocks: to the one whose path they share most of, or else to the later one, which they feed;
* no block after them: N+1, with the head; in the base model, what else the last stage holds belongs to its last block,
  and so do a convolution behind it and its BatchNorm;
* never read in the pass (a mask token, an expert that no token was sent to): where all else around them is; otherwise
  0 if they are a table of embeddings or are registered before all blocks, N+1 if after all. So is a tower that these
  rows do not run, such as the one for pictures of a model that is given texts. A member of a list of blocks is not.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from torch import nn

from hfkit.model.blocks import Block, Tower
from hfkit.model.reads import Reads, members, union


class Unproven(Exception):
    """Why a map is not proven, as the rule of a UserError."""


@dataclass(frozen=True)
class Plan:
    """The blocks of a model, level by level, and the modules around them."""

    base: str  # path of the base model with its dot, or ""
    levels: Sequence[Sequence[Block]]  # of depth 1 and up
    homes: Mapping[Block, str]  # path of the largest module that holds its tower and no other

    @property
    def head(self) -> int:
        return len(self.levels) + 1


def find_homes(towers: Sequence[Tower], base: str) -> dict[Block, str]:
    """For each block the largest module of the base model that holds its tower and no block of another."""
    root = base.rstrip(".")
    homes: dict[Block, str] = {}
    for tower in towers:
        own = [path for block in tower.blocks for path in block.paths]
        others = [path for other in towers if other is not tower for block in other.blocks for path in block.paths]
        home = own[0]
        while home != root and (
            not all(holds(home, path) for path in own)
            or not any(holds(home.rpartition(".")[0], path) for path in others)
        ):
            home = home.rpartition(".")[0]
        homes |= dict.fromkeys(tower.blocks, home)
    return homes


def holds(path: str, name: str) -> bool:
    """Whether a module path is that of `name`, or above it; "" is above everything."""
    return not path or name == path or name.startswith(f"{path}.")


def place_parameters(model: nn.Module, plan: Plan, reads: Reads) -> dict[str, int]:
    """The depth of every parameter, under the names of `reads`.

    Raises:
        Unproven: a block, or a part that could be anywhere, is not read in the forward pass.
    """
    depths: dict[int, int] = {}
    for depth, blocks in enumerate(plan.levels, start=1):
        for block in blocks:
            if not block.parameters & reads.read:
                raise Unproven(f"a forward pass does not read its block '{block.paths[0]}'")
            for i in members(block.parameters):
                depths.setdefault(i, depth)
    within = union(block.parameters for blocks in plan.levels for block in blocks)
    # What each block is given, near and far.
    seen = {block: reads.given_to(block.parameters) for blocks in plan.levels for block in blocks}
    begin = next(place for place, i in enumerate(reads.order) if within >> i & 1)
    for place, i in enumerate(reads.order):
        if i not in depths:
            readers = _first_level(plan, lambda block, i=i: seen[block] >> i & 1)
            sources = _first_level(plan, lambda block, given=reads.given[i]: given & block.parameters, last=True)
            # What is read several times may be given what is read, and placed, only later.
            floor = max((depths[other] for other in members(reads.given[i]) if other in depths), default=0)
            depths[i] = _place_beside(model, plan, reads.names[i], sources, readers, floor, early=place < begin)
    for i, name in enumerate(reads.names):
        if i not in depths:
            depths[i] = _place_unread(model, name, plan, reads, depths)
    return {name: depths[i] for i, name in enumerate(reads.names)}


Level = tuple[int, list[Block]]


def _first_level(plan: Plan, found: Callable[[Block], int], *, last: bool = False) -> Level:
    """The first depth with blocks for which `found` is true, or the last one, and these blocks; (0, []) for none."""
    levels = list(enumerate(plan.levels, start=1))
    for depth, blocks in reversed(levels) if last else levels:
        if those := [block for block in blocks if found(block)]:
            return depth, those
    return 0, []


def _place_beside(
    model: nn.Module, plan: Plan, name: str, sources: Level, readers: Level, floor: int, *, early: bool
) -> int:
    """The depth of a parameter outside the blocks, from the last blocks before it and the first ones after it.

    Args:
        floor: the deepest of all that it is given.
    """
    (last, before), (first, after) = sources, readers
    if not after:
        return last if any(_closes_stage(model, plan, name, block) for block in before) else plan.head
    if not before:
        return 0 if not floor and (early or any(holds(plan.homes[block], name) for block in after)) else first
    # What several blocks share enters at the first of them. Where branches meet, there are depths in between.
    between = range(min(max(last, floor), first), first + 1)
    return max(between, key=lambda depth: (max(_count_shared(name, b.paths[0]) for b in plan.levels[depth - 1]), depth))


def _closes_stage(model: nn.Module, plan: Plan, name: str, block: Block) -> bool:
    """Whether a parameter behind the last block is a pretrained feature like it, and no part of a head."""
    if not plan.base or not name.startswith(plan.base):
        return False
    stage = block.paths[0].split(".")[: _count_shared(name, block.paths[0])]
    module = model.get_submodule(name.rpartition(".")[0])
    return stage[-1].isdecimal() or isinstance(module, nn.Conv2d | nn.BatchNorm2d)


def _count_shared(name: str, path: str) -> int:
    """How many segments two paths have in common at their start."""
    pairs = list(zip(name.split("."), path.split("."), strict=False))
    return next((i for i, (a, b) in enumerate(pairs) if a != b), len(pairs))


def _place_unread(model: nn.Module, name: str, plan: Plan, reads: Reads, depths: Mapping[int, int]) -> int:
    if not name.startswith(plan.base):
        return plan.head
    around = name.rpartition(".")[0]
    while around and holds(plan.base.rstrip("."), around) and around != plan.base.rstrip("."):
        known = {depths[i] for i, other in enumerate(reads.names) if i in depths and holds(around, other)}
        if len(known) == 1:
            return known.pop()
        if known:
            break
        around = around.rpartition(".")[0]
    within = [i for i, depth in depths.items() if 0 < depth < plan.head and reads.read >> i & 1]
    number = reads.names.index(name)
    lists = {path.rpartition(".")[0] for blocks in plan.levels for block in blocks for path in block.paths}
    if not any(holds(path, name) for path in lists):
        if number < min(within) or isinstance(model.get_submodule(name.rpartition(".")[0]), nn.Embedding):
            return 0
        if number > max(within):
            return plan.head
    raise Unproven(f"a forward pass does not read its parameter '{name}', and nothing else tells where it belongs")


def verify_depths(depths: Mapping[str, int], names: Sequence[str], reads: Reads) -> None:
    """Check that nothing a parameter is given was computed by a deeper one.

    Args:
        depths: of all parameters, or of some, such as those in blocks.
        names: of each depth, for the message.

    Raises:
        Unproven: naming the first parameter in the forward pass for which that is not so.
    """
    deeper = [
        union(1 << i for i, name in enumerate(reads.names) if depths.get(name, 0) > depth)
        for depth in range(len(names))
    ]
    for i in reads.order:
        name = reads.names[i]
        if name in depths and (wrong := reads.given[i] & deeper[depths[name]]):
            other = reads.names[next(members(wrong))]
            raise Unproven(
                f"'{other}' (depth {depths[other]}, {names[depths[other]]}) is read before '{name}' (depth"
                f" {depths[name]}, {names[depths[name]]}), which is given its result"
            )
