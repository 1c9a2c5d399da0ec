"""What a score is called, on which side it is better, and what the Hub calls it."""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Score:
    """One score of a judge."""

    key: str  # in the dict that `Judge.score` returns, in logs and in reports: "f1"
    title: str  # for a reader: "F1"
    better: Literal["higher", "lower"] = "higher"
    hub: str | None = None  # the metric's name on the Hub, where it is another one

    @property
    def sign(self) -> int:
        """1, or -1 where lower is better: times this, more is always better."""
        return 1 if self.better == "higher" else -1

    def best(self, values: Iterable[T], value_of: Callable[[T], float] = float) -> T:
        """The best of some values; the first of equals."""
        return max(values, key=lambda value: self.sign * value_of(value))

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def headline_text(key: str, scores: Iterable[dict[str, Any]] = ()) -> str:
    """The name of a score for a reader.

    Args:
        scores: those of a report or a ledger; one that it does not name goes by its key.
    """
    titles = {score["key"]: score["title"] for score in scores}
    return titles.get(key) or (key.upper() if len(key) <= 3 else key.replace("_", " "))
