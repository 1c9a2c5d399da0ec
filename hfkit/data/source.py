"""The place of a dataset, and how it is to be read."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """The place of a dataset, and what the user says about reading it."""

    dataset: str  # 'sample', a file, a folder, an address, or an id of the Hub
    config: str | None = None
    revision: str | None = None
    encoding: str | None = None  # of files of text; None: found
    sheet: str | None = None  # of a workbook
    query: str | None = None  # SQL, where the dataset is the address of a database
    allow_remote: bool = False
    annotator: str | None = None  # whose answers count, of several people's
    annotator_column: str | None = None  # of people, where each row is an answer of one of them
    item_column: str | None = None  # what tells apart the items that they answered; None: found
    split_column: str | None = None  # which split each row belongs to; None: found; 'none': there is none

    @property
    def shown(self) -> str:
        """The dataset as it may be shown: an address without its password and its signature."""
        return re.sub(r"//[^/@]*@", "//", self.dataset).partition("?")[0]
