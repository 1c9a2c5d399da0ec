"""`Dataset.map` for tasks: in memory, with a progress bar."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

from datasets import Dataset, Features

from hfkit.progress import progress


def map_rows(
    rows: Dataset,
    function: Callable[..., Any],
    desc: str,
    *,
    features: Features,
    numbered: bool = False,
    **settings: Any,
) -> Dataset:
    """The columns that `function` makes of the rows, batch by batch, in place of the old ones.

    They stay in memory: a cache on disk would outlive changes of the code that made it.

    Args:
        function: a batch and the `settings` -> columns of `features`; any number of rows.
        numbered: the function also takes the numbers of the batch's rows.
    """
    with progress(desc, len(rows)) as advance:

        def map_batch(batch: Any, numbers: list[int]) -> Any:
            made = function(batch, numbers, **settings) if numbered else function(batch, **settings)
            advance(len(numbers))
            return made

        return rows.map(
            map_batch,
            batched=True,
            with_indices=True,
            remove_columns=rows.column_names,
            features=features,
            keep_in_memory=True,
            load_from_cache_file=False,
            new_fingerprint=uuid4().hex,  # otherwise datasets hashes the tokenizer, which takes longer than tokenising
        )
