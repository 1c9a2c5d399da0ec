"""Tag schemes of pre-tokenised text: the scheme of a corpus, its IOB2 form, and the entities it marks."""

from collections.abc import Iterable, Sequence
from functools import lru_cache

from hfkit.errors import UserError

# The prefixes that each scheme may use besides the plain O. B starts an entity of several words, S and U are one-word
# entities, E and L are last words.
PREFIXES = {"IOB1": "BI", "IOB2": "BI", "BIOES": "BIES", "BILOU": "BILU"}


@lru_cache(maxsize=4096)  # a corpus has few tags, each looked up once per word
def split_tag(tag: str) -> tuple[str, str]:
    """The prefix and the entity type of one tag: "B-PER" gives ("B", "PER"), "O" gives ("O", "").

    Raises:
        ValueError: the tag is neither O nor PREFIX-TYPE with a prefix of one of the four schemes.
    """
    prefix, _, kind = tag.partition("-")
    if tag == "O":
        return "O", ""
    # seqeval strips hyphens from both ends of a type, so "B-X-" and "B-X" would be one type there and two here.
    if len(prefix) != 1 or prefix not in "BIESLU" or not kind or kind != kind.strip("-"):
        raise ValueError(f"'{tag}' is neither O nor a prefix of {', '.join(PREFIXES)} with a type, such as B-PER")
    return prefix, kind


def scheme_of(sequences: Iterable[Sequence[str]]) -> str:
    """The scheme of a corpus: "IOB1", "IOB2", "BIOES" or "BILOU".

    Tags that are valid as IOB2 are IOB2. Otherwise, B and I alone are IOB1 if every B separates two entities of one
    type, the only use of B in IOB1; if not, they are IOB2 with errors. The two readings give the same entities, so a
    wrong guess changes what counts as an error, never the labels.

    Raises:
        UserError: last words are marked both E or S and L or U.
    """
    prefixes, starts_with_i, separators_only = set(), False, True
    for tags in sequences:
        before = ("O", "")
        for tag in map(split_tag, tags):
            prefixes.add(tag[0])
            if tag[0] == "I" and before[1] != tag[1]:
                starts_with_i = True
            if tag[0] == "B" and before[1] != tag[1]:
                separators_only = False
            before = tag
    ends = {"BIOES": prefixes & set("ES"), "BILOU": prefixes & set("LU")}
    if all(ends.values()):
        raise UserError(
            f"tags with the prefixes {', '.join(sorted(prefixes))}",
            "E and S belong to the scheme BIOES, L and U to BILOU, and a dataset is written in one scheme",
            "Write all splits in one scheme",
        )
    for scheme, found in ends.items():
        if found:
            return scheme
    return "IOB1" if starts_with_i and separators_only else "IOB2"


def to_iob2(tags: Sequence[str], scheme: str) -> tuple[list[str], int]:
    """One sentence in IOB2, and the number of its transitions that `scheme` does not allow.

    An entity that continues without a start gets a B; one that is never closed (BIOES, BILOU) ends at the next tag
    that starts something else. No word loses its type.
    """
    closes = scheme in ("BIOES", "BILOU")
    converted, invalid, running = [], 0, ""  # running: the type of the entity that the next word may continue
    for prefix, kind in map(split_tag, tags):
        if prefix in "IEL" and running == kind:
            converted.append(f"I-{kind}")
        else:
            # In IOB1 an I may start an entity. A mistake is counted once, not both as unclosed and as orphan.
            invalid += (closes and running != "") or (prefix in "IEL" and scheme != "IOB1")
            converted.append(f"B-{kind}" if kind else "O")
        running = "" if prefix in "ESLU" else kind
    return converted, invalid + (closes and running != "")


def entities(tags: Sequence[str]) -> list[tuple[str, int, int]]:
    """The entities of one IOB2 sentence as (type, first word, word after the last), in seqeval's strict reading.

    Only a B starts an entity; an I that continues nothing belongs to none.
    """
    found, start, running = [], 0, ""
    for position, tag in enumerate([*tags, "O"]):
        if running and tag != f"I-{running}":
            found.append((running, start, position))
            running = ""
        if tag.startswith("B-"):
            start, running = position, tag[2:]
    return found


def count_orphans(tags: Sequence[str]) -> int:
    """The number of I- tags of one IOB2 sentence that follow neither a B- nor an I- of their own type."""
    return sum(
        tag.startswith("I-") and before not in (tag, f"B-{tag[2:]}")
        for before, tag in zip(["O", *tags], tags, strict=False)
    )
