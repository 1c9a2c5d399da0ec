"""What checkpoints and datasets are called where others read of them: without the folders of this machine."""

from pathlib import Path

from hfkit.arguments.hub_terms import HUB_ID

# What the bundled encoder is called on the Hub; the other bundled checkpoints are only here.
SAMPLE_ENCODER = "sentence-transformers/all-MiniLM-L6-v2"


def on_hub(name: str) -> bool:
    """Whether a checkpoint or dataset goes by an id of the Hub: an owner and a name, and no path."""
    return bool(HUB_ID.fullmatch(name))


def checkpoint_name(checkpoint: str) -> str:
    """The id of the checkpoint that a run started from; a folder goes by its name."""
    if checkpoint in ("sample", "sample-text"):
        return SAMPLE_ENCODER
    return checkpoint if on_hub(checkpoint) else Path(checkpoint).name


def dataset_name(dataset: str) -> str:
    """The dataset without the folders above it, which are nobody's business; a Hub id as it is."""
    if dataset == "sample":
        return "hfkit sample data"
    return dataset if on_hub(dataset) else Path(dataset).name
