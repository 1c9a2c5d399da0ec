"""The common part of codecs: the checkpoint that their model is made from."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from transformers import PreTrainedModel

from hfkit.model.weights import load_model


class CheckpointCodec:
    """A checkpoint, and the class that makes a model of it.

    Args:
        checkpoint: as the user named it.
        path: the folder or Hub id that it stands for.
        head_config: the entries for the head in the model's configuration.
    """

    auto_model: ClassVar[type]

    def __init__(self, checkpoint: str, path: str, head_config: Mapping[str, Any]) -> None:
        self.checkpoint, self.path, self.head_config = checkpoint, path, head_config

    def name_source(self, *, finished: bool) -> str:
        """The name of the checkpoint, or of the finished model, in messages."""
        return f"{'model' if finished else 'checkpoint'} '{self.checkpoint}'"

    def model(self, *, pretrained: bool = True, finished: bool = False, blocks: Sequence[str] = ()) -> PreTrainedModel:
        return load_model(
            self.auto_model,
            self.path,
            self.name_source(finished=finished),
            self.head_config,
            pretrained=pretrained,
            finished=finished,
            blocks=blocks,
        )
