"""What the frozen layers make of every row, computed once and given back at every cut of the plan."""

import hashlib
import json
import shutil
import uuid
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from accelerate import PartialState
from accelerate.utils import gather_object
from datasets import Dataset
from torch import Tensor, nn

from hfkit.data.batches import fetched, is_text, text_lengths
from hfkit.model.depth import Depths
from hfkit.model.digests import digest
from hfkit.model.unfreezing import saved_state
from hfkit.prefix.cuts import find_cuts
from hfkit.prefix.replay import CannotReplay, Shape, Size, Tap, only, read_taps, real_tokens, replaying
from hfkit.prefix.store import DTYPES, Damaged, Overflow, Store, Writer, free_bytes, put_in_place
from hfkit.progress import track

# A pass in small batches of like length is the fastest on a CPU: they stay in its cache.
TOKENS_AT_ONCE, ROWS_AT_ONCE = 1024, 32
CHECKED_ROWS = 8
# How far a stored activation may be from a computed one, as a share of the largest: precision, and other padding.
TOLERANCE = {"float32": 1e-4, "float16": 2e-3, "bfloat16": 2e-2}


@dataclass(frozen=True)
class Settings:
    """Where activations go and how they are stored."""

    folder: Path
    dtype: str = "float16"
    budget: float = 20.0  # GB, for one split
    keep: bool = False  # for later runs


@dataclass(frozen=True)
class Frozen:
    """A model and how deep everything in it sits."""

    model: nn.Module
    depths: Depths

    def digest_below(self, depth: int) -> str:
        """Changes with any weight or statistic below `depth`."""
        state = saved_state(self.model, self.depths)
        return digest(value for _, value, at in state if at < depth).hex()


class PrefixCache:
    """The activations of one split, one store for each cut.

    Built by one forward pass with the weights as they are, over batches of like length, by all processes together, or
    opened where an earlier run left the same. What is opened has the bytes that were written, and some of its rows are
    computed again and compared.

    Args:
        frozen: the model; `eval()` and without gradients while it is built.
        cuts: depths at which the plan freezes everything below.
        identity: what decides the inputs: rows, processor, precision of the forward pass.

    Raises:
        CannotReplay: a cut cannot be replayed, or the activations are too many or too large.
    """

    def __init__(
        self,
        frozen: Frozen,
        rows: Dataset,
        collator: Any,
        cuts: Sequence[int],
        settings: Settings,
        identity: Mapping[str, Any],
        *,
        desc: str,
    ) -> None:
        self.frozen, self.rows, self.collator, self.settings = frozen, rows, collator, settings
        self._fetched = fetched(rows)
        self.device = next(frozen.model.parameters()).device
        self.lengths = text_lengths(rows) if is_text(rows) else np.ones(len(rows), dtype=np.int64)
        probes = [self._batch(chosen) for chosen in self._probes()]
        found = find_cuts(frozen.model, frozen.depths, cuts, probes)
        self.cuts = dict(zip(cuts, found, strict=True))
        # What a step may leave out once it starts above the layer that reads it.
        sizes = [Size.of(batch) for batch in probes]
        self.unread = {
            name: Shape.of([batch[name] for batch in probes], sizes)
            for name, value in probes[0].items()
            if value.is_floating_point() and not is_text(rows)
        }
        self._refuse_too_much()
        places = {depth: settings.folder / self._key(depth, identity) for depth in cuts}
        self.stores = {depth: store for depth in cuts if (store := self._opened(depth, places[depth]))}
        # Every process must come to the same answer, or they would wait for each other.
        missing = sorted(set().union(*gather_object([[depth for depth in cuts if depth not in self.stores]])))
        if missing:
            self._build({depth: places[depth] for depth in missing}, desc)

    def replay(self, depth: int, rows: np.ndarray, batch: Mapping[str, Tensor]) -> AbstractContextManager[None]:
        """Within it the next forward pass of the model starts at the cut `depth`.

        Args:
            rows: which rows of the split the batch holds, in its order.
        """
        cut, store, size = self.cuts[depth], self.stores[depth], Size.of(batch)
        values = [
            decoded(tap, store.read(i, rows).to(self.device), batch, size).to(tap.shape.dtype)
            for i, tap in enumerate(cut.taps)
        ]
        return replaying(self.frozen.model, cut, values, size)

    def blanks(self, rows: int) -> dict[str, Tensor]:
        """What stands for inputs that nobody reads, in a batch of so many rows."""
        return {name: shape.filled(0, Size(rows, 1), self.device) for name, shape in self.unread.items()}

    def drop(self, depth: int) -> None:
        """Forget a cut whose stage has ended, and delete its files unless they are kept for later runs."""
        store = self.stores.pop(depth)
        PartialState().wait_for_everyone()
        if not self.settings.keep and PartialState().is_main_process:
            store.delete()

    def _probes(self) -> list[np.ndarray]:
        """Rows of three batches: of one length, fewer of them, and of another length if there is one."""
        if len(self.rows) < 3:
            raise CannotReplay("fewer than 3 rows")
        order = np.argsort(self.lengths, kind="stable")
        short = order[:1].repeat(3)
        # Padding may hide a difference in length: what is longer is so in a batch.
        longer = order[self.lengths[order] > Size.of(self._batch(short)).tokens]
        first = np.resize(longer[:3] if len(longer) else order, 3)
        return [first, first[:2], short if len(longer) else first]

    def _batch(self, rows: Sequence[int]) -> dict[str, Tensor]:
        batch = self.collator(self._fetched.__getitems__([int(row) for row in rows]))
        return {name: value.to(self.device) for name, value in batch.items() if name != "labels"}

    def _refuse_too_much(self) -> None:
        tokens = {tap: int(self.lengths.sum()) if per_token(tap) else len(self.rows) for tap in self._taps()}
        size = sum(count * width_of(tap) for tap, count in tokens.items()) * DTYPES[self.settings.dtype].itemsize
        # The least that a process sees: all of them must come to one answer.
        budget = min(self.settings.budget * 1e9, 0.9 * min(gather_object([free_bytes(self.settings.folder)])))
        if size > budget:
            raise CannotReplay(f"the activations take {size / 1e9:.1f} GB, and {budget / 1e9:.1f} GB are left for them")

    def _taps(self) -> list[Tap]:
        return [tap for cut in self.cuts.values() for tap in cut.taps]

    def _key(self, depth: int, identity: Mapping[str, Any]) -> str:
        config = self.frozen.model.config
        decided = {
            **identity,
            "weights": self.frozen.digest_below(depth),
            "model": {k: v for k, v in config.to_dict().items() if k not in ("_name_or_path", "transformers_version")},
            "class": type(self.frozen.model).__name__,
            "attention": config._attn_implementation,
            "taps": repr(self.cuts[depth].taps),
            "cut": depth,
            "dtype": self.settings.dtype,
            "versions": [torch.__version__, transformers.__version__],
            "device": self.device.type,
        }
        return hashlib.blake2b(json.dumps(decided, default=str, sort_keys=True).encode(), digest_size=16).hexdigest()

    def _opened(self, depth: int, folder: Path) -> Store | None:
        """The store in `folder`, if it is whole and some of its rows come out the same when computed again."""
        try:
            store = Store(folder, len(self.rows))
        except Damaged:
            return None
        draw = np.random.default_rng(len(self.rows))
        chosen = draw.choice(len(self.rows), min(CHECKED_ROWS, len(self.rows)), replace=False)
        batch = self._batch(chosen)
        with torch.inference_mode():
            real = read_taps(self.frozen.model, self.cuts[depth].taps, batch)
        for i, (tap, value) in enumerate(zip(self.cuts[depth].taps, real, strict=True)):
            wanted, found = encoded(tap, value, batch)[0].float(), store.read(i, chosen)
            close = TOLERANCE[self.settings.dtype] * wanted.abs().max().item()
            if found.shape != wanted.shape or not (found.to(wanted) - wanted).abs().max() <= close:
                return None
        return store

    def _build(self, places: Mapping[int, Path], desc: str) -> None:
        """One pass over this process's share of the rows, for all missing cuts."""
        state = PartialState()
        # Another run may be building the same beside this one.
        unique = gather_object([uuid.uuid4().hex])[0]
        building = {depth: place.with_name(f"{place.name}.{unique}") for depth, place in places.items()}
        if state.is_main_process:
            for place in places.values():
                shutil.rmtree(place, ignore_errors=True)
        failure = None
        try:
            self._write(building, state, desc)
        except (Overflow, OSError) as error:
            failure = f"{error} (see --cache_dtype, --cache_dir)"
        failures = [failure for failure in gather_object([failure]) if failure]
        if state.is_main_process:
            for depth, place in places.items():
                put_in_place(building[depth], None if failures else place)
        state.wait_for_everyone()
        if not failures:
            self.stores |= {depth: store for depth, place in places.items() if (store := self._opened(depth, place))}
            whole = all(gather_object([places.keys() <= self.stores.keys()]))
            failures = [] if whole else ["what was written is not what is computed"]
        if failures:
            raise CannotReplay(failures[0])

    def _write(self, building: Mapping[int, Path], state: PartialState, desc: str) -> None:
        writers = {
            depth: Writer(folder, state.process_index, self.settings.dtype, list(map(width_of, self.cuts[depth].taps)))
            for depth, folder in building.items()
        }
        taps = [tap for depth in writers for tap in self.cuts[depth].taps]
        batches = like_lengths(self.lengths)[state.process_index :: state.num_processes]
        with torch.inference_mode():
            for rows in track(batches, desc):
                batch = self._batch(rows)
                values = dict(zip(taps, read_taps(self.frozen.model, taps, batch), strict=True))
                for depth, writer in writers.items():
                    parts = [encoded(tap, values[tap], batch) for tap in self.cuts[depth].taps]
                    writer.add(rows, [counts for _, counts in parts], [flat for flat, _ in parts])
        for writer in writers.values():
            writer.close()


def like_lengths(lengths: np.ndarray) -> list[np.ndarray]:
    """Rows in batches of like length, the longest first."""
    order, batches, start = np.argsort(-lengths, kind="stable"), [], 0
    while start < len(order):
        end = start + max(1, min(ROWS_AT_ONCE, TOKENS_AT_ONCE // int(lengths[order[start]])))
        batches.append(order[start:end])
        start = end
    return batches


def per_token(tap: Tap) -> bool:
    """Whether the tap has an activation for each token of a text, and not one for the whole row."""
    return tap.shape.tokens_axis is not None and tap.reads == "all"


def width_of(tap: Tap) -> int:
    """Numbers in one stored activation."""
    skipped = {tap.shape.rows_axis, tap.shape.tokens_axis}
    if tap.shape.tokens_axis is None and tap.reads != "all":
        skipped.add(1)
    return int(np.prod([axis.times for i, axis in enumerate(tap.shape.axes) if i not in skipped]))


def encoded(tap: Tap, value: Tensor, batch: Mapping[str, Tensor]) -> tuple[Tensor, np.ndarray]:
    """What is stored of a tap: (activations, width) without padding, and how many of them each row has."""
    value = rows_first(tap, value)
    mask = places_read(tap, value.shape, batch)
    if mask is None:
        return value.reshape(len(value), -1), np.ones(len(value), dtype=np.int64)
    return value[mask].reshape(int(mask.sum()), -1), mask.sum(1).cpu().numpy()


def decoded(tap: Tap, flat: Tensor, batch: Mapping[str, Tensor], size: Size) -> Tensor:
    """The tap as the model wants it; 0 where nothing was stored."""
    lengths = [axis.length(size) for axis in tap.shape.axes]
    shape = [lengths.pop(tap.shape.rows_axis)]
    if tap.shape.tokens_axis is not None:
        shape.append(lengths.pop(tap.shape.tokens_axis - (tap.shape.tokens_axis > tap.shape.rows_axis)))
    shape += lengths
    mask = places_read(tap, shape, batch)
    if mask is None:
        value = flat.view(shape)
    else:
        value = flat.new_zeros(shape)
        value.view(-1, flat.shape[1]).index_copy_(0, mask.reshape(-1).nonzero().squeeze(1).to(flat.device), flat)
    return rows_first(tap, value, back=True)


def rows_first(tap: Tap, value: Tensor, *, back: bool = False) -> Tensor:
    """With the axis of rows first and that of tokens, if any, second; `back` undoes it."""
    rows, tokens = tap.shape.rows_axis, tap.shape.tokens_axis
    second = None if tokens is None else tokens + (tokens < rows)
    if back:
        return (value if second is None else value.movedim(1, second)).movedim(0, rows)
    value = value.movedim(rows, 0)
    return value if second is None else value.movedim(second, 1)


def places_read(tap: Tap, shape: Sequence[int], batch: Mapping[str, Tensor]) -> Tensor | None:
    """Which places of a value of `shape`, (rows, tokens, …), are stored, (rows, tokens); None: all of them as one."""
    if tap.shape.tokens_axis is None and tap.reads == "all":
        return None
    real = real_tokens(batch, shape[:2])
    return real if tap.reads == "all" else only(tap.reads, real)
