"""Finds the depths of one model: listed, stated by timm, found in its structure, or declared; and proves them."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from torch import nn

from hfkit.errors import UserError, first_line
from hfkit.model.blocks import Block, Tower, find_towers, stack_towers
from hfkit.model.layouts import LAYOUTS, place_by_layout
from hfkit.model.paths import base_of, find_modules, match_path, model_type_of, summarize
from hfkit.model.probe import probe_rows
from hfkit.model.proof import Plan, Unproven, find_homes, place_parameters, verify_depths
from hfkit.model.reads import Reads, members, record_reads, union
from hfkit.model.timm_layers import place_by_timm

PROOF = "proven by the order in which a forward pass reads them"
# A larger model is first run without values, which costs no arithmetic; where that does not settle it, as it is.
LARGE = 30_000_000  # parameters


@dataclass(frozen=True)
class Map:
    """The depths of one model's parameters, those of tied ones under every name."""

    depths: Mapping[str, int]
    blocks: tuple[str, ...]  # a name for each depth from 1 to N
    origin: str  # how it was found, as a sentence without its full stop; "" if it is listed


# Several callers ask for the depths of the same model, and many models of one run have the same structure.
_KNOWN: dict[tuple, Map] = {}


def find_map(core: nn.Module, blocks: Sequence[str]) -> Map:
    """The map of a model, proven unless it is listed.

    Args:
        core: not wrapped.
        blocks: patterns of module paths in forward order, for a declared map.

    Raises:
        UserError: no map can be proven.
    """
    names = tuple(name for name, _ in core.named_parameters(remove_duplicate=False))
    key = (type(core), _settings_of(core), names, tuple(blocks))
    if key[1] is None:
        return _make_map(core, list(names), blocks)
    if key not in _KNOWN:
        _KNOWN[key] = _make_map(core, list(names), blocks)
    return _KNOWN[key]


def _settings_of(core: nn.Module) -> str | None:
    """All that decides how a model of its class runs; None if only the model itself knows."""
    if model_type_of(core) is None:
        return None
    settings = core.config.to_dict()
    # In few bits it runs in the same order, and some of these weights cannot be recorded.
    settings.pop("quantization_config", None)
    return json.dumps(settings, sort_keys=True, default=str)


def _make_map(core: nn.Module, names: list[str], blocks: Sequence[str]) -> Map:
    try:
        if blocks:
            return _declare_map(core, names, blocks)
        if model_type_of(core) in LAYOUTS:
            depths, found = place_by_layout(core, names, LAYOUTS[model_type_of(core)])
            return Map(depths, tuple(found), "")
        return _prove_map(core, names)
    except Unproven as error:
        raise _refusal(core, names, str(error), declared=bool(blocks)) from error


def _prove_map(core: nn.Module, names: list[str]) -> Map:
    """The map that the structure proposes, or timm's own order if that can be proven.

    Raises:
        Unproven: with the reason.
    """
    reason = Unproven("the forward order of its blocks is not known")
    if model_type_of(core) is None and any(model_type_of(module) for module in core.modules()):
        raise Unproven("a wrapper adds parameters to it, whose place is not known")
    for reads in _record_probe(core):
        if model_type_of(core) == "timm_wrapper":
            try:
                depths, found = place_by_timm(core)
                verify_depths(depths, _name_depths(found), reads)
                return Map(depths, tuple(found), f"{len(found)} blocks, in the order that timm states, {PROOF}")
            except Unproven as error:
                reason = error
        try:
            towers = find_towers(core, base_of(core, names).rstrip("."), reads)
            if not towers:
                raise Unproven("it has no numbered modules that feed each other, which could be its blocks")
            return _map_towers(core, names, towers, reads)
        except Unproven as error:
            reason = error
    raise reason


def _map_towers(core: nn.Module, names: list[str], towers: list[Tower], reads: Reads) -> Map:
    base = base_of(core, names)
    levels = stack_towers(towers, reads)
    plan = Plan(base, levels, find_homes(towers, base))
    depths = place_parameters(core, plan, reads)
    # Side by side: by name and not by the order of use, which is chance.
    order = {name: i for i, name in enumerate(path for path, _ in core.named_modules())}
    found = []
    for blocks in levels:
        paths = sorted((path for block in blocks for path in block.paths), key=order.__getitem__)
        found.append(" + ".join(path.removeprefix(base) for path in paths))
    verify_depths(depths, _name_depths(found), reads)
    where = summarize(path for tower in towers for block in tower.blocks for path in block.paths)
    origin = f"{len(found)} blocks found in {where} and {PROOF}"
    if idle := _find_idle_lists(reads, union(block.parameters for blocks in levels for block in blocks), base):
        origin += f"; rows of this kind do not run {', '.join(idle)}, whose layers are not told apart"
    return Map(_add_tied_names(core, depths), tuple(found), origin)


def _find_idle_lists(reads: Reads, blocks: int, base: str) -> list[str]:
    """Lists of modules in the base model that hold no block and that the forward pass did not touch at all."""
    lists: dict[str, bool] = {}  # path -> whether a member was read
    for i, name in enumerate(reads.names):
        if (numbered := re.match(r"(.+?)\.\d+\.", name)) and name.startswith(base):
            touched = bool((reads.read | blocks) >> i & 1)
            lists[numbered[1]] = lists.get(numbered[1], False) or touched
    return [f"{path}.*" for path, touched in lists.items() if not touched]


def _name_depths(blocks: Sequence[str]) -> tuple[str, ...]:
    return ("below all blocks", *blocks, "head")


def _declare_map(core: nn.Module, names: list[str], patterns: Sequence[str]) -> Map:
    """The map of declared blocks, proven; if no probe runs, as it was declared."""
    found = find_modules(patterns, names)
    for pattern, paths in zip(patterns, found, strict=True):
        if not paths:
            raise UserError(
                f"blocks '{pattern}'",
                f"no module of {type(core).__name__} that has parameters matches it",
                f"Give module paths such as {_containers(core)}",
            )
    paths = list(dict.fromkeys(chain(*found)))
    reason: Unproven | None = None
    try:
        for reads in _record_probe(core):
            try:
                return _prove_declaration(core, names, paths, reads)
            except Unproven as error:
                reason = error
    except Unproven as error:
        depths = _place_by_registration(core, names, patterns, paths)
        return Map(depths, tuple(paths), f"{len(paths)} blocks as declared, and not proven: {error}")
    raise reason


def _prove_declaration(core: nn.Module, names: list[str], paths: list[str], reads: Reads) -> Map:
    bits = {name: 1 << i for i, name in enumerate(reads.names)}
    blocks = [
        Block((path,), union(bits[name] for name in reads.names if name == path or name.startswith(f"{path}.")))
        for path in paths
    ]
    placed = {reads.names[i]: depth for depth, block in enumerate(blocks, 1) for i in members(block.parameters)}
    verify_depths(
        placed, _name_depths(paths), reads
    )  # first, so that an error names two blocks and no part between them
    base, levels = base_of(core, names), [[block] for block in blocks]
    homes: dict[str, list[Block]] = {}
    for block in blocks:
        homes.setdefault(summarize(block.paths), []).append(block)
    towers = [Tower(tuple(tower)) for tower in homes.values()]
    depths = place_parameters(core, Plan(base, levels, find_homes(towers, base)), reads)
    verify_depths(depths, _name_depths(paths), reads)
    return Map(_add_tied_names(core, depths), tuple(paths), f"{len(paths)} declared blocks, {PROOF}")


def _place_by_registration(
    core: nn.Module, names: list[str], patterns: Sequence[str], paths: list[str]
) -> dict[str, int]:
    """Without a forward pass: before the first block 0, after the last N+1, in between with the next block."""
    blocks = {path: depth for depth, path in enumerate(paths, start=1)}
    head, base = len(blocks) + 1, base_of(core, names)
    depths, following, first = {}, head, names[0]
    for name in reversed(names):
        found = next((found for pattern in patterns if (found := match_path(pattern, name))), None)
        if found:
            following, first = blocks[found[0]], name
        depths[name] = following if found or name.startswith(base) else head
    for name in names[: names.index(first)]:
        depths[name] = 0 if name.startswith(base) else head
    return depths


def _add_tied_names(core: nn.Module, depths: Mapping[str, int]) -> dict[str, int]:
    by_identity = {id(parameter): depths[name] for name, parameter in core.named_parameters()}
    return {name: by_identity[id(p)] for name, p in core.named_parameters(remove_duplicate=False)}


def _record_probe(core: nn.Module) -> Iterator[Reads]:
    """Reads of a forward pass on rows made up for it; of a second one if the first was without values.

    Raises:
        Unproven: the model runs on none of these rows.
    """
    size = sum(parameter.numel() for parameter in core.parameters())
    failure: Exception | None = None
    recorded = False
    for without_values in (True, False) if size > LARGE else (False,):
        for inputs in probe_rows(core):
            try:
                reads = record_reads(core, inputs, without_values=without_values)
            except Exception as error:  # whatever a model does with rows that it does not expect
                failure = failure or error
                continue
            recorded = True
            yield reads
            break
    if not recorded:
        raise Unproven(f"it does not run on rows made up for it ({type(failure).__name__}: {first_line(failure)})")


def _containers(core: nn.Module) -> str:
    """Where the base model keeps numbered modules, as patterns: '"encoder.layer.*" "decoder.layer.*"'."""
    names = [name for name, _ in core.named_parameters()]
    inside = [name for name in names if name.startswith(base_of(core, names))]
    found = dict.fromkeys(f'"{m[1]}.*"' for name in inside if (m := re.match(r"(.+?)\.\d+\.", name)))
    return " ".join(list(found)[:4]) or '"backbone.layers.*"'


def _refusal(core: nn.Module, names: list[str], rule: str, *, declared: bool) -> UserError:
    named = f"model {type(core).__name__} (model_type {model_type_of(core)!r})"
    fix = "Declare its blocks in forward order, every module that matches a pattern being one block"
    if declared:
        fix = "Give the patterns in the order in which a forward pass runs the blocks"
        try:
            return UserError(named, rule, f"Leave out --blocks: {_prove_map(core, names).origin}")
        except Unproven:
            pass
    return UserError(named, rule, f"{fix}: --blocks {_containers(core)}, or blocks=(…) in Python")
