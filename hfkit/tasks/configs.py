"""What a checkpoint says of itself, read before anything of it is loaded."""

import json
from pathlib import Path
from typing import Any

from transformers import AutoConfig, PreTrainedConfig

from ..errors import UserError
from ..samples import resolve_checkpoint
from .files import first_line


def read_config(checkpoint: str, **settings: Any) -> PreTrainedConfig:
    """The checkpoint's configuration with `settings` in it; of a Hub checkpoint nothing else is downloaded.

    Raises:
        UserError: there is none, it cannot be read, or its architecture is unknown.
    """
    try:
        return AutoConfig.from_pretrained(resolve_checkpoint(checkpoint), trust_remote_code=False, **settings)
    except UserError:
        raise
    except (OSError, ValueError) as error:
        raise UserError(
            f"checkpoint '{checkpoint}'",
            f"its config.json could not be read ({first_line(error)})",
            "Check the path or the Hub id, and the network",
        ) from error


def refuse_shards_elsewhere(index: Path) -> None:
    """Refuse an index of a local checkpoint that names weights outside its folder: loading would follow it there.

    Raises:
        UserError: naming the shard; or the index cannot be read.
    """
    if not index.is_file():
        return
    try:
        content = json.loads(index.read_text(encoding="utf-8"))
        weights, _ = content["weight_map"], content["metadata"]  # transformers reads both
        shards = sorted({str(name) for name in weights.values()})
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise UserError(
            f"file '{index}'",
            f"it is not an index with metadata and a map from weights to files ({first_line(error)})",
            "Save the checkpoint again",
        ) from error
    for shard in shards:
        if "/" in shard or "\\" in shard or shard == "..":
            raise UserError(
                f"file '{index}'",
                f"the weights of a checkpoint lie in its own folder, and here they are in '{shard}'",
                "Use a checkpoint from a source you trust, or save this one again",
            )


def refuse_unfinished(checkpoint: str, fresh: set[str]) -> None:
    """Refuse a model some of whose weights were drawn at random when it was loaded.

    Raises:
        UserError: naming them.
    """
    if fresh:
        raise UserError(
            f"model '{checkpoint}'",
            f"it has no weights for {len(fresh)} of its parameters ({', '.join(sorted(fresh)[:3])}), so its answers"
            " would be random",
            "Give the output_dir of a run that has ended, or a model that was fine-tuned for this task",
        )
