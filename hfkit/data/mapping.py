"""`Dataset.map` as the tasks use it: in memory, with a bar."""

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
    """What `function` makes of the rows, batch by batch, in place of their columns.

    It stays in memory: a cache on disk would outlive changes of the code that made it.

    Args:
        function: a batch and the `settings` -> columns of `features`; any number of rows.
        numbered: whether it also takes the numbers of the batch's rows.
    """
    with progress(desc, len(rows)) as advance:

        def told(batch: Any, numbers: list[int]) -> Any:
            made = function(batch, numbers, **settings) if numbered else function(batch, **settings)
            advance(len(numbers))
            return made

        return rows.map(
            told,
            batched=True,
            with_indices=True,
            remove_columns=rows.column_names,
            features=features,
            keep_in_memory=True,
            load_from_cache_file=False,
            new_fingerprint=uuid4().hex,  # else datasets hashes the tokenizer, which takes longer than tokenising
        )
