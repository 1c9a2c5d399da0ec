"""The outcome of one fault, and a list of them that is kept while it grows."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Case:
    """One fault: of which test, what was done, whether what came of it is right, and what that was."""

    test: str  # "T3"
    case: str
    good: bool
    outcome: str  # one line


class Cases(list[Case]):
    """The cases of one test, printed as they come, and kept in a file: a test that was cut off goes on behind them."""

    def __init__(self, test: str, work: Path) -> None:
        self.test, self.work, self.file = test, work, work / f"{test}.jsonl"
        lines = self.file.read_text(encoding="utf-8").splitlines() if self.file.is_file() else []
        super().__init__(Case(**json.loads(line)) for line in lines)

    def add(self, case: str, good: bool, outcome: str) -> None:
        outcome = " ".join(outcome.split()).replace(str(self.work), "WORK")
        found = Case(self.test, case, bool(good), outcome[:600])
        self.append(found)
        with self.file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(found)) + "\n")
        print("ok  " if good else "FAIL", self.test, "|", case, "|", found.outcome, flush=True)

    def has(self, case: str) -> bool:
        """Whether the case was run already."""
        return any(found.case == case for found in self)
