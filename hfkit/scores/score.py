"""The names of a score, and the direction in which it gets better."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Score:
    """One score of a judge."""

    key: str  # in the dict that `Judge.score` returns, in logs and in reports: "f1"
    title: str  # for a reader: "F1"
    better: Literal["higher", "lower"] = "higher"
    hub: str | None = None  # the metric's name on the Hub, if it is another one

    @property
    def sign(self) -> int:
        """1, or -1 if lower is better: times this, more is always better."""
        return 1 if self.better == "higher" else -1

    def best(self, values: Iterable[T], value_of: Callable[[T], float] = float) -> T:
        """The best of some values; the first of equals."""
        return max(values, key=lambda value: self.sign * value_of(value))

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def headline_score(task: Mapping[str, Any]) -> Score:
    """The score that decides, from the part `task` of a report or a ledger.

    A score that the record does not name goes by its key, and more of it is better.
    """
    key = task["headline"]
    known = {score["key"]: Score(**score) for score in task["scores"]}
    return known.get(key) or Score(key, headline_text(key))


def headline_text(key: str, scores: Iterable[Mapping[str, Any]] = ()) -> str:
    """The name of a score for a reader.

    Args:
        scores: those of a report or a ledger; one that it does not name goes by its key.
    """
    titles = {score["key"]: score["title"] for score in scores}
    return titles.get(key) or (key.upper() if len(key) <= 3 else key.replace("_", " "))
