"""The outputs of the frozen layers for every row: computed once, and given back at every cut of the plan."""

import hashlib
import json
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from accelerate import PartialState
from accelerate.utils import gather_object
from datasets import Dataset
from torch import Tensor, nn

from hfkit.data.batches import is_text, rows_to_fetch, text_lengths
from hfkit.model.depth import Depths
from hfkit.model.digests import digest
from hfkit.model.unfreezing import saved_state
from hfkit.prefix.cuts import find_cuts
from hfkit.prefix.folders import delete_abandoned, hold_building, put_in_place
from hfkit.prefix.layout import is_per_token, pack, unpack, width_of
from hfkit.prefix.replay import CannotReplay, Cut, Shape, Size, Tap, read_taps, replay
from hfkit.prefix.rounding import TOLERANCE, computing_in_float32, is_close, is_within_rounding
from hfkit.prefix.store import DTYPES, Damaged, Overflow, Store, Writer
from hfkit.progress import track
from hfkit.runtime.durable import measure_disk

# On a CPU a pass is fastest in small batches of similar length: their activations stay in its cache.
TOKENS_AT_ONCE, ROWS_AT_ONCE = 1024, 32
CHECKED_ROWS = 8


@dataclass(frozen=True)
class Settings:
    """Where activations are stored, and how."""

    folder: Path
    dtype: str = "float16"
    computed: str = "float32"  # the precision of the forward pass
    mixed: bool = False  # by autocast: the model could compute in float32 as well
    budget: float = 20.0  # GB, for one split
    keep: bool = False  # the files, for later runs

    @property
    def tolerance(self) -> float:
        """How far a stored activation may lie from one that is computed again."""
        return max(TOLERANCE[self.dtype], TOLERANCE[self.computed])


@dataclass(frozen=True)
class Frozen:
    """A model whose lower layers are frozen, and how deep each of its parts sits."""

    model: nn.Module
    depths: Depths

    def digest_below(self, depth: int) -> str:
        """A digest that changes with any weight or statistic below `depth`."""
        state = saved_state(self.model, self.depths)
        return digest(value for _, value, at in state if at < depth).hex()


class PrefixCache:
    """The activations of one split, in one store per cut. Made by `PrefixCache.build`.

    They come from one forward pass with the weights as they are, over batches of similar length, shared by all
    processes; or an earlier run left them, and then their bytes are checked and some rows are computed again. Rows
    whose bytes change later on are computed again too, when they are read.
    """

    def __init__(self, frozen: Frozen, rows: Dataset, collator: Any, settings: Settings) -> None:
        """An empty cache. Nothing is computed yet: `build` finds the cuts and fills the stores."""
        self.frozen, self.rows, self.collator, self.settings = frozen, rows, collator, settings
        self.device = next(frozen.model.parameters()).device
        self.lengths = text_lengths(rows) if is_text(rows) else np.ones(len(rows), dtype=np.int64)
        self.cuts: dict[int, Cut] = {}  # by depth
        self.stores: dict[int, Store] = {}  # by depth, as long as the stage of that depth is not over
        self.unread: dict[str, Shape] = {}  # inputs that a step may leave out once it starts above what reads them
        self._fetched = rows_to_fetch(rows)
        self._unnamed: set[Path] = set()  # folders of stores whose name another run's damaged store has

    @classmethod
    def build(
        cls,
        frozen: Frozen,
        rows: Dataset,
        collator: Any,
        cuts: Sequence[int],
        settings: Settings,
        identity: Mapping[str, Any],
        *,
        desc: str,
    ) -> "PrefixCache":
        """A cache that is ready to use. Takes minutes: a forward pass over all rows, unless an earlier run left it.

        All processes have to call it together.

        Args:
            frozen: the model, in `eval()` and without gradients.
            collator: encoded rows -> the model's inputs and nothing else.
            cuts: depths at which the plan freezes everything below.
            identity: what decides the inputs: rows, processor, precision of the forward pass.
            desc: of the progress bar.

        Raises:
            CannotReplay: a cut cannot be replayed, or the activations are too many or too large.
        """
        cache = cls(frozen, rows, collator, settings)
        probes = [cache._batch(chosen) for chosen in cache._choose_probes()]
        found = find_cuts(frozen.model, frozen.depths, cuts, probes)
        cache.cuts = dict(zip(cuts, found, strict=True))
        if not is_text(rows):
            # Pictures and sound: the raw input is large, and only the frozen layers read it. Of a text the ids and the
            # mask are small, and read again above.
            cache.unread = find_unread(probes)
        if PartialState().is_main_process:
            delete_abandoned(settings.folder)
        cache._refuse_too_much()
        places = {depth: settings.folder / cache._key(depth, identity) for depth in cuts}
        for depth, place in places.items():
            if store := cache._open(depth, place):
                cache.stores[depth] = store
        # Every process must come to the same answer, or they would wait for each other: one of them may have found a
        # store that another one saw half written.
        missing = sorted(set().union(*gather_object([[depth for depth in cuts if depth not in cache.stores]])))
        for depth in missing:
            if depth in cache.stores:
                cache.stores.pop(depth).close()
        if missing:
            cache._compute({depth: places[depth] for depth in missing}, desc)
        return cache

    def replay(self, depth: int, rows: np.ndarray, batch: Mapping[str, Tensor]) -> AbstractContextManager[None]:
        """Within it the next forward pass of the model starts at the cut `depth`.

        Args:
            rows: numbers of the batch's rows in the split, in the order of the batch.

        Raises:
            Damaged: so much of the store was changed since it was opened that these rows are not computed again.
        """
        cut, size = self.cuts[depth], Size.of(batch)
        values = [
            unpack(tap, self._read(depth, i, rows).to(self.device), batch, size).to(tap.shape.dtype)
            for i, tap in enumerate(cut.taps)
        ]
        return replay(self.frozen.model, cut, values, size)

    def replay_computed(self, depth: int, batch: Mapping[str, Tensor]) -> AbstractContextManager[None]:
        """The same with activations that are computed for this very batch, and rounded as stored ones are."""
        cut, size = self.cuts[depth], Size.of(batch)
        values = []
        for tap, value in zip(cut.taps, read_taps(self.frozen.model, cut.taps, batch), strict=True):
            stored = pack(tap, value, batch)[0].to(DTYPES[self.settings.dtype]).float()
            values.append(unpack(tap, stored, batch, size).to(tap.shape.dtype))
        return replay(self.frozen.model, cut, values, size)

    def _read(self, depth: int, tap: int, rows: np.ndarray) -> Tensor:
        store = self.stores[depth]
        try:
            return store.read(tap, rows)
        except Damaged as error:
            if not store.restored:
                print(f"Prefix cache: {error} while in use; what it held is computed again.")
            self._restore(depth, error.rows)
        return store.read(tap, rows)

    def _restore(self, depth: int, rows: Sequence[int]) -> None:
        """Compute rows of a store again, in the batches in which they were computed first: the same bits."""
        cut, store = self.cuts[depth], self.stores[depth]
        with evaluating(self.frozen.model), torch.inference_mode():
            for number in sorted({self._batch_of_row[row] for row in rows}):
                of_batch = self._batches[number]
                batch = self._batch(of_batch)
                values = read_taps(self.frozen.model, cut.taps, batch)
                for i, (tap, value) in enumerate(zip(cut.taps, values, strict=True)):
                    flat, counts = pack(tap, value, batch)
                    store.restore(i, of_batch, counts, flat)

    @cached_property
    def _batches(self) -> list[np.ndarray]:
        """The rows of each batch in which activations are computed."""
        return batch_by_length(self.lengths)

    @cached_property
    def _batch_of_row(self) -> dict[int, int]:
        return {int(row): number for number, rows in enumerate(self._batches) for row in rows}

    def blanks(self, rows: int) -> dict[str, Tensor]:
        """Blank tensors for the inputs that no layer reads any more, for a batch of so many rows."""
        return {name: shape.fill(0, Size(rows, 1), self.device) for name, shape in self.unread.items()}

    def drop(self, depth: int) -> None:
        """Forget a cut whose stage is over, and delete its files unless later runs want them."""
        store = self.stores.pop(depth)
        PartialState().wait_for_everyone()  # a slower process may still read
        self._leave(store)

    def close(self) -> None:
        """Forget all cuts, and delete the files that no later run will look for."""
        for depth in list(self.stores):
            self._leave(self.stores.pop(depth))

    def _leave(self, store: Store) -> None:
        kept = self.settings.keep and store.folder not in self._unnamed
        if kept or not PartialState().is_main_process:
            store.close()
        else:
            store.delete()

    def _choose_probes(self) -> list[np.ndarray]:
        """Rows of three batches: three rows, two of them, and three rows of another length if there is one."""
        if len(self.rows) < 3:
            raise CannotReplay("fewer than 3 rows")
        order = np.argsort(self.lengths, kind="stable")
        short = order[:1].repeat(3)
        # Measured in a batch, not in the rows: padding to a multiple of 8 makes 5 and 7 tokens alike.
        longer = order[self.lengths[order] > Size.of(self._batch(short)).tokens]
        first = np.resize(longer[:3] if len(longer) else order, 3)
        return [first, first[:2], short if len(longer) else first]

    def _batch(self, rows: Sequence[int]) -> dict[str, Tensor]:
        batch = self.collator(self._fetched.__getitems__([int(row) for row in rows]))
        return {name: value.to(self.device) for name, value in batch.items()}

    def _refuse_too_much(self) -> None:
        tokens = {tap: int(self.lengths.sum()) if is_per_token(tap) else len(self.rows) for tap in self._taps()}
        size = sum(count * width_of(tap) for tap, count in tokens.items()) * DTYPES[self.settings.dtype].itemsize
        # The least that any process sees: all of them must come to the same answer.
        budget = min(self.settings.budget * 1e9, 0.9 * min(gather_object([measure_disk(self.settings.folder).free])))
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

    def _open(self, depth: int, folder: Path) -> Store | None:
        """The store in `folder`, if it is complete and some of its rows come out the same when computed again."""
        try:
            store = Store(folder, len(self.rows))
        except Damaged:
            return None
        # The key may miss something that decides an activation: a kernel, a driver. Hence the rows that are run again.
        draw = np.random.default_rng(len(self.rows))
        chosen = draw.choice(len(self.rows), min(CHECKED_ROWS, len(self.rows)), replace=False)
        if self._equals(store, depth, chosen, self._batch(chosen)):
            return store
        store.close()
        return None

    def holds(self, depth: int, rows: np.ndarray, batch: Mapping[str, Tensor]) -> bool:
        """Whether the store of a cut holds what the frozen layers return for a batch, up to rounding."""
        return self._equals(self.stores[depth], depth, rows, batch)

    def _equals(self, store: Store, depth: int, rows: np.ndarray, batch: Mapping[str, Tensor]) -> bool:
        model, taps = self.frozen.model, self.cuts[depth].taps
        with torch.inference_mode():
            real, exact = read_taps(model, taps, batch), []
            if self.settings.mixed:
                with computing_in_float32(model):
                    exact = read_taps(model, taps, batch)
        for i, (tap, value) in enumerate(zip(taps, real, strict=True)):
            wanted, counts = pack(tap, value, batch)
            try:
                found = store.read(i, rows).to(self.device)
            except Damaged:
                return False
            if found.shape != wanted.shape:
                return False
            if not exact:
                close = is_close(found, wanted.float(), self.settings.tolerance)
            else:
                own = wanted.to(DTYPES[self.settings.dtype]).float()
                close = is_within_rounding(found, own, pack(tap, exact[i], batch)[0].float(), counts)
            if not close:
                return False
        return True

    def _compute(self, places: Mapping[int, Path], desc: str) -> None:
        """Fill the missing stores, all cuts in one pass over this process's share of the rows."""
        state = PartialState()
        # Another run may be building the same stores right now. Each builds under a name of its own, and the first one
        # to finish gives its folder the final name.
        unique = gather_object([uuid.uuid4().hex])[0]
        building = {depth: place.with_name(f"{place.name}.{unique}") for depth, place in places.items()}
        # A full disk on one process must not leave the others waiting: failures are collected, then all give up.
        failure = None
        with ExitStack() as held:
            try:
                if state.is_main_process:
                    for folder in building.values():
                        held.enter_context(hold_building(folder))
                self._write(building, state, desc)
            except (Overflow, OSError) as error:
                failure = f"{error} (see --cache_dtype, --cache_dir)"
            failures = [failure for failure in gather_object([failure]) if failure]
            if not failures:
                # Opened like any other store, with its checks: what was just written has to prove itself as well.
                # Before it gets its name, under which another run might delete it.
                opened = {depth: self._open(depth, place) for depth, place in building.items()}
                self.stores |= {depth: store for depth, store in opened.items() if store}
                complete = all(gather_object([all(opened.values())]))
                failures = [] if complete else ["what was written is not what is computed"]
            if failures:
                self.close()
                raise CannotReplay(failures[0])
            for depth, place in places.items():
                self._name(depth, building[depth], place)

    def _name(self, depth: int, built: Path, place: Path) -> None:
        """Give a new store the name that later runs look for. If another run was first, take its store."""
        state = PartialState()
        keep = self.settings.keep
        named = gather_object([state.is_main_process and put_in_place(built, place, durable=keep)])[0]
        if named:
            self.stores[depth].folder = place
            return
        theirs = self._open(depth, place)
        if all(gather_object([theirs is not None])):
            self.stores[depth].close()
            self.stores[depth] = theirs
            if state.is_main_process:
                shutil.rmtree(built, ignore_errors=True)
            return
        if theirs is not None:
            theirs.close()
        self._unnamed.add(built)

    def _write(self, building: Mapping[int, Path], state: PartialState, desc: str) -> None:
        writers = {
            depth: Writer(folder, state.process_index, self.settings.dtype, list(map(width_of, self.cuts[depth].taps)))
            for depth, folder in building.items()
        }
        taps = [tap for depth in writers for tap in self.cuts[depth].taps]
        batches = self._batches[state.process_index :: state.num_processes]
        with torch.inference_mode():
            for rows in track(batches, desc):
                batch = self._batch(rows)
                values = dict(zip(taps, read_taps(self.frozen.model, taps, batch), strict=True))
                for depth, writer in writers.items():
                    parts = [pack(tap, values[tap], batch) for tap in self.cuts[depth].taps]
                    writer.append(rows, [counts for _, counts in parts], [flat for flat, _ in parts])
        for writer in writers.values():
            writer.close()


def find_unread(batches: Sequence[Mapping[str, Tensor]]) -> dict[str, Shape]:
    """The inputs that only the frozen layers read, without answers; none beside a mask, which is read above as well."""
    names = [name for name in batches[0] if name != "labels"]
    if not all(batches[0][name].is_floating_point() for name in names):
        return {}
    sizes = [Size.of(batch) for batch in batches]
    return {name: Shape.of([batch[name] for batch in batches], sizes) for name in names}


def batch_by_length(lengths: np.ndarray) -> list[np.ndarray]:
    """Rows in batches of similar length, the longest first: if memory runs out, it does so in the first batch."""
    order, batches, start = np.argsort(-lengths, kind="stable"), [], 0
    while start < len(order):
        end = start + max(1, min(ROWS_AT_ONCE, TOKENS_AT_ONCE // int(lengths[order[start]])))
        batches.append(order[start:end])
        start = end
    return batches


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Keep every module in `eval()`, and record nothing for gradients, until the block ends."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, mode in modes:
            module.training = mode
