"""The names of checkpoints and datasets for other readers: without the folders of this machine."""

from pathlib import Path

from hfkit.arguments.hub_terms import HUB_ID
from hfkit.samples import PACKAGED

# The bundled encoder on the Hub; the other bundled checkpoints exist nowhere but here.
SAMPLE_ENCODER = "sentence-transformers/all-MiniLM-L6-v2"


def is_hub_id(name: str) -> bool:
    """Whether the name of a checkpoint or dataset is an id of the Hub: an owner and a name, not a path."""
    return bool(HUB_ID.fullmatch(name))


def checkpoint_name(checkpoint: str) -> str:
    """The id of the checkpoint that a run started from; a folder goes by its name."""
    if checkpoint in ("sample", "sample-text"):
        return SAMPLE_ENCODER
    if checkpoint in PACKAGED:
        return PACKAGED[checkpoint].id
    return checkpoint if is_hub_id(checkpoint) else Path(checkpoint).name


def dataset_name(dataset: str) -> str:
    """A Hub id as it is; of a path only its last part, since the folders above it are private."""
    if dataset == "sample":
        return "hfkit sample data"
    return dataset if is_hub_id(dataset) else Path(dataset).name
