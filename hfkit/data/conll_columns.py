"""Columns of CoNLL lines: which one holds the words and which their tags, by what stands in them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, islice

from hfkit.data.text.tags import split_tag

LOOKED_AT = 100_000  # lines that decide
NEARLY_ALL = 0.95  # of the values of a column of tags: a wrong one is named by its row, and does not hide the column
# The types of chunks in CoNLL-2000 and CoNLL-2003, whose tags are written like those of entities.
CHUNKS = {"ADJP", "ADVP", "CONJP", "INTJ", "LST", "NP", "PP", "PRT", "SBAR", "UCP", "VP"}
CONLL_U = ("id", "tokens", "lemmas", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")

Sentence = list[list[str]]  # the columns of each of its lines


@dataclass(frozen=True)
class Columns:
    """The names of the columns, by position; and how they were understood."""

    names: tuple[str, ...]
    note: str | None  # one line, where something else than "words first, tags last" was understood

    @property
    def tags(self) -> int | None:
        return self.names.index("tags") if "tags" in self.names else None


def name_columns(sentences: Sequence[Sentence]) -> Columns:
    """The columns `tokens` and `tags`, and `column_2` and so on for others.

    Tags are the last column whose values belong to a scheme of entities, otherwise the last of all. If an earlier one
    has tags of the same types, these are levels of nested entities, and the first level is taken. Words are the first
    column that remains, without running numbers, unless it has few values and another one has many.
    """
    lines = list(islice(chain.from_iterable(sentences), LOOKED_AT))
    width = len(lines[0])
    values = list(zip(*lines, strict=True))
    numbers = [place for place in range(width) if counts_words(sentences, place)]
    levels = find_levels(values, [place for place in range(width) if place not in numbers])
    tags = levels[0] if levels else max((place for place in range(width) if not is_filler(values[place])), default=-1)
    rest = [place for place in range(width) if place not in (*numbers, *levels, tags)]
    words = choose_words(values, rest or [place for place in range(width) if place != tags])
    names = tuple(
        "tokens" if place == words else "tags" if place == tags else f"column_{place + 1}" for place in range(width)
    )
    parts = [f"words in column {words + 1}, tags in column {tags + 1}"]
    parts += [f"running numbers in column {place + 1}" for place in numbers]
    if len(levels) > 1:
        others = " and ".join(f"column_{place + 1}" for place in levels[1:])
        parts.append(f"further levels of tags are in {others} (--tags_column {others.split()[0]})")
    plain = words == 0 and tags == width - 1
    return Columns(names, None if plain else "; ".join(parts))


def counts_words(sentences: Sequence[Sentence], place: int) -> bool:
    """Whether a column numbers the words, of each sentence anew or of the whole file."""
    some, before = sentences[:1000], None
    for line in chain.from_iterable(some):
        value = line[place]
        if not (value.isascii() and value.isdecimal()) or (
            value not in ("0", "1") and before not in (None, int(value) - 1)
        ):
            return False
        before = int(value)
    return any(len(sentence) > 1 for sentence in some)


def find_levels(values: Sequence[Sequence[str]], places: Sequence[int]) -> list[int]:
    """The columns of tags of entities: one, or the levels of nested ones from the first on."""
    types = {place: found for place in places if (found := types_of(values[place])) is not None}
    if not types:
        return []
    last = max(types)
    nested = [place for place in types if is_level_beside(types[place], types[last])]
    return [*nested, *([last] if last not in nested else [])]


def is_level_beside(types: set[str], last: set[str]) -> bool:
    """Whether a column has tags of the same kind as the last one: of shared types, or the last has none at all."""
    return bool(types & last) or (not last and not types <= CHUNKS)


def types_of(values: Sequence[str]) -> set[str] | None:
    """The types of a column of tags of entities; None if it is none. It has an O somewhere, or B- and I-."""
    found, wrong, counts = set(), 0, Counter(values)
    for value, count in counts.items():
        try:
            found.add(split_tag(value)[1])
        except ValueError:
            wrong += count
    if wrong > (1 - NEARLY_ALL) * len(values) or not ("O" in counts or any(value[:2] == "B-" for value in counts)):
        return None
    return found - {""}


def is_filler(values: Sequence[str]) -> bool:
    return set(values) <= {"_", "-", "-X-", "*"}


def choose_words(values: Sequence[Sequence[str]], places: Sequence[int]) -> int:
    """The first column, unless it has few values and another has many that are made of letters."""
    distinct = {place: len(set(values[place])) for place in places}
    first = places[0]
    wordlike = [place for place in places if is_wordlike(values[place])]
    richest = max(wordlike, key=distinct.__getitem__, default=first)
    few = is_filler(values[first]) or (distinct[first] < 60 and distinct[richest] >= 3 * distinct[first])
    return richest if few else first


def is_wordlike(values: Sequence[str]) -> bool:
    """Whether at least half of the values have a letter and are no list of features."""
    good = sum(any(map(str.isalpha, value)) and "=" not in value and "|" not in value for value in values)
    return 2 * good >= len(values)


def is_conll_u(sentences: Sequence[Sentence]) -> bool:
    """Whether these are the ten columns of CoNLL-U."""
    lines = islice(chain.from_iterable(sentences), 1000)
    return all(len(line) == 10 and line[0].replace("-", "").replace(".", "").isdecimal() for line in lines)
