"""The image processor of a checkpoint, for all tasks whose models read pictures."""

from typing import Any

from transformers import AutoImageProcessor

from hfkit.data.images.vision import require_vision
from hfkit.errors import UserError, first_line


def load_image_processor(path: str, checkpoint: str) -> Any:
    """The image processor in a folder or of a Hub id, without code of its own.

    Args:
        checkpoint: as the user named it.

    Raises:
        UserError: it cannot be read, or packages for pictures are missing.
    """
    require_vision()
    try:
        processor = AutoImageProcessor.from_pretrained(path, trust_remote_code=False)
    # Of any kind: its settings are computed with before anything has looked at them.
    except Exception as error:
        raise UserError(
            f"checkpoint '{checkpoint}'",
            f"its image processor could not be read ({first_line(error)})",
            "Give a folder or a Hub id that holds preprocessor_config.json",
        ) from error
    vars(processor).pop("auto_map", None)  # saved with it, it would name files that are not there
    return processor
