"""Entities as text for a language model, "person: Ann Lee; location: Paris", and back to one tag per word."""

import json
import re
from collections.abc import Mapping, Sequence

from hfkit.data.text.tags import entities

NOTHING = "none"  # the answer if there is no entity
OTHER = "none of these"  # the option for words that are no entity


def write_entities(words: Sequence[str], tags: Sequence[str], kinds: Mapping[str, str]) -> str:
    """The entities of a sentence in order, each after the words for its type."""
    found = [f"{kinds[kind]}: {' '.join(words[start:end])}" for kind, start, end in entities(tags)]
    return "; ".join(found) or NOTHING


def read_entities(answer: str, words: Sequence[str], kinds: Mapping[str, str]) -> list[str] | None:
    """The tags that an answer gives to `words`; None if it is neither a list of entities nor `NOTHING`.

    It may be 'type: words' separated by ';', or JSON: pairs of type and words, or objects from types to words. Entities
    that do not occur in the sentence are left out.
    """
    answer = answer.strip()
    if answer.strip(" .").casefold() == NOTHING:
        return ["O"] * len(words)
    names = {text.casefold(): kind for kind, text in kinds.items()}
    found = from_json(answer, names) if answer[:1] in ("[", "{") else from_text(answer, names)
    if found is None:
        return None
    tags = ["O"] * len(words)
    after = 0
    for kind, phrase in found:
        place = place_of(phrase, words, tags, after) or place_of(phrase, words, tags, 0)
        if place is not None:
            start, after = place
            tags[start:after] = [f"B-{kind}", *[f"I-{kind}"] * (after - start - 1)]
    return tags


def find_capitalised(words: Sequence[str]) -> list[tuple[int, int]]:
    """Start and end of every run of words that begin with a capital: names, where a script has them."""
    capitals = [word[:1].isupper() for word in words]
    starts = [i for i, capital in enumerate(capitals) if capital and not (i and capitals[i - 1])]
    return [(start, next((i for i in range(start, len(words)) if not capitals[i]), len(words))) for start in starts]


def write_tags(words: Sequence[str], kinds: Sequence[str | None]) -> list[str]:
    """Tags of words whose runs of capitalised ones are entities of these `kinds`, or none."""
    tags = ["O"] * len(words)
    for (start, end), kind in zip(find_capitalised(words), kinds, strict=True):
        if kind is not None:
            tags[start:end] = [f"B-{kind}", *[f"I-{kind}"] * (end - start - 1)]
    return tags


def from_text(answer: str, names: Mapping[str, str]) -> list[tuple[str, str]] | None:
    """Types with words; None if the answer does not begin with a type, or an entity has no words."""
    kind = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    # A ";" that no type follows belongs to the words.
    starts = list(re.finditer(rf"(?:^|;)\s*({kind})\s*:", answer, re.IGNORECASE))
    if not starts or starts[0].start() != 0:
        return None
    ends = [start.start() for start in starts[1:]] + [len(answer)]
    found = [(names[m[1].casefold()], answer[m.end() : end].strip()) for m, end in zip(starts, ends, strict=True)]
    return found if all(phrase for _, phrase in found) else None


def from_json(answer: str, names: Mapping[str, str]) -> list[tuple[str, str]] | None:
    """Types with words; None if the answer is no JSON, has another shape, or names an unknown type."""
    try:
        value = json.loads(answer)
    except (ValueError, RecursionError):
        return None
    found: list[tuple[str, str]] = []
    for item in value if isinstance(value, list) else [value]:
        pairs = list(item.items()) if isinstance(item, dict) else [item]
        for pair in pairs:
            match pair:
                case (str(name), str(phrase)) if name.casefold() in names:
                    found.append((names[name.casefold()], phrase))
                case (str(name), [*phrases]) if name.casefold() in names and all(isinstance(p, str) for p in phrases):
                    found += [(names[name.casefold()], phrase) for phrase in phrases]
                case _:
                    return None
    return found


def place_of(phrase: str, words: Sequence[str], tags: Sequence[str], after: int) -> tuple[int, int] | None:
    """The first untagged words from `after` on that spell `phrase` without blanks; if there are none, in any case."""
    for written in (str, str.casefold):
        sought = written("".join(phrase.split()))
        for start in range(after, len(words)):
            spelt = ""
            for end in range(start, len(words)):
                spelt += written("".join(words[end].split()))
                if tags[end] != "O" or not sought.startswith(spelt):
                    break
                if spelt and spelt == sought:
                    return start, end + 1
    return None
