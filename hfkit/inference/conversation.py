"""A conversation with a saved model: its turns, and the answers as they are written."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch

from hfkit.contract.abilities import Conversed
from hfkit.errors import UserError
from hfkit.inference.saved import SavedModel, load_saved


@dataclass
class Conversation:
    """The turns so far, and how the next one is answered."""

    saved: SavedModel
    system: str | None = None
    most_tokens: int | None = None  # of an answer; None: those of the task
    temperature: float = 0.0
    turns_before: Sequence[Mapping[str, str]] = ()  # of an earlier conversation that goes on
    turns: list[dict[str, str]] = field(init=False)

    def __post_init__(self) -> None:
        if not isinstance(self.saved.codec, Conversed):
            raise UserError(
                f"model '{self.saved.place}'",
                f"it was made for {self.saved.task.key}, and cannot be talked to",
                "Ask it with hfkit predict, or name what else it does with --task",
            )
        self.begin_anew()

    def seed(self, seed: int) -> None:
        """Draw the same answers for the same turns."""
        torch.manual_seed(seed)

    def begin_anew(self) -> None:
        self.turns = [{"role": "system", "content": self.system}] if self.system else []
        self.turns += [dict(turn) for turn in self.turns_before]
        self.turns_before = ()

    def answer(self, text: str) -> Iterator[str]:
        """The answer to the next turn of the user, piece by piece; both turns are remembered once it is whole.

        Raises:
            UserError: the turns do not fit the model.
        """
        asked = [*self.turns, {"role": "user", "content": text}]
        pieces = []
        options = {"most_tokens": self.most_tokens, "temperature": self.temperature}
        for piece in self.saved.codec.reply(self.saved.model, asked, **options):
            pieces.append(piece)
            yield piece
        self.turns = [*asked, {"role": "assistant", "content": "".join(pieces).strip() or "…"}]


def load_conversation(
    place: str,
    *,
    task: str | None = None,
    revision: str | None = None,
    system: str | None = None,
    most_tokens: int | None = None,
    temperature: float = 0.0,
) -> Conversation:
    """A conversation that begins, with a saved model.

    Raises:
        UserError: there is no finished model, or it cannot be talked to.
    """
    return Conversation(load_saved(place, task=task, revision=revision), system, most_tokens, temperature)
