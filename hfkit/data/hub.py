"""Datasets of the Hub: the splits of a configuration, fetched and read without running foreign code."""

from datasets import Dataset, get_dataset_config_names, load_dataset
from datasets.exceptions import DatasetsError

from hfkit.data.notes import tell
from hfkit.data.source import Source
from hfkit.data.split_names import SPLITS, split_of
from hfkit.errors import UserError, first_line
from hfkit.progress import silence_other_bars


@silence_other_bars(downloads=True)
def read_hub(source: Source, *, every: bool = False) -> dict[str, Dataset]:
    """The splits of a Hub dataset; `datasets` refuses loading scripts, so no foreign code runs.

    Args:
        every: also splits with names that hfkit does not know, all under their own names.

    Raises:
        UserError: it cannot be fetched, or has several configurations and none is named.
    """
    try:
        splits = load_dataset(source.dataset, source.config, revision=source.revision)
    except (OSError, ValueError, RuntimeError, DatasetsError) as error:
        raise refuse_config(source, error) or UserError(
            f"dataset '{source.dataset}'",
            f"it is no local file or folder, and the Hub did not give it ({first_line(error)})",
            "Check the path or the id, --dataset_config and the network, or give a file or folder of rows",
        ) from error
    if every:
        return dict(splits)
    chosen = choose_splits(list(splits))
    if not chosen and len(splits) == 1:
        chosen = {"train": next(iter(splits))}
    if left := sorted(set(splits) - set(chosen.values())):
        tell(f"{source.dataset}: not read: the splits {', '.join(left)}")
    return {split: splits[name] for split, name in chosen.items()}


def choose_splits(names: list[str]) -> dict[str, str]:
    """The name of each split in a dataset that has it: the usual names in their order, then others that mean it."""
    chosen = {}
    for split, usual in SPLITS.items():
        fitting = [name for name in usual if name in names] or [name for name in names if split_of(name) == split]
        if fitting:
            chosen[split] = fitting[0]
    return chosen


def refuse_config(source: Source, error: Exception) -> UserError | None:
    """The error of a dataset with several configurations of which none, or none that exists, is named."""
    if not isinstance(error, ValueError):
        return None
    try:
        names = get_dataset_config_names(source.dataset, revision=source.revision)
    except Exception:  # whatever it is, the first error is the one to show
        return None
    if len(names) < 2 or source.config in names:
        return None
    given = f"the configuration '{source.config}'" if source.config else "no configuration"
    return UserError(
        f"dataset '{source.dataset}'",
        f"it has the configurations {', '.join(names)}, and {given} is named",
        f"Name one, such as --dataset_config {names[0]}",
    )
