"""Pictures of what answers rest on, as files beside the answers."""

import base64
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hfkit.contract.view import Picture
from hfkit.errors import UserError
from hfkit.runtime.durable import write_file
from hfkit.runtime.files import expand_home

COLUMN = "explanation"  # of a row: the file


@dataclass(frozen=True)
class Explanations:
    """A folder with one PNG a row, named by the row's number among all rows of a command."""

    folder: str  # as it was given
    most: int  # rows, the first ones

    def make_folder(self) -> None:
        """Make the folder, unless it is there.

        Raises:
            UserError: it cannot be made.
        """
        try:
            expand_home(self.folder).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"--explain '{self.folder}'", f"it is no folder to write to ({error.strerror})", "Give another folder"
            ) from error

    def left_from(self, number: int) -> int:
        """How many rows from the one of this number on are to be explained."""
        return max(0, self.most - number)

    def save(self, number: int, picture: Picture) -> str:
        """Write the picture of a row, and return its path."""
        name = f"explained-{number:06}.png"
        write_file(expand_home(self.folder) / name, base64.b64decode(picture.uri.partition(",")[2]))
        return os.path.join(self.folder, name)

    def refuse_inputs(self, inputs: Sequence[str]) -> None:
        """Refuse a folder that is an input: the next command would ask about these pictures.

        Raises:
            UserError: it is one of them.
        """
        own = Path(os.path.realpath(expand_home(self.folder)))
        for name in inputs:
            if name != "-" and Path(os.path.realpath(expand_home(name))) in (own, *own.parents):
                raise UserError(
                    f"--explain '{self.folder}'", f"it lies in the input '{name}'", "Give a folder beside the inputs"
                )
