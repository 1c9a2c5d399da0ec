"""Texts: signs of a wrong encoding, and how long they are for the model."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from hfkit.contract.codec import Codec
from hfkit.contract.rows import Media
from hfkit.doctor.findings import EXAMPLES, Finding, quote, report_refusal, share
from hfkit.doctor.rows import Rows
from hfkit.errors import UserError

MANY = 0.01  # share of rows
CUT = 0.05  # share of texts that lose their end
UNKNOWN = 0.01  # share of tokens
TOKENISED = 5_000  # rows of a split, evenly spaced
RUN = re.compile(r"[^\x00-\x7f]{2,}")  # where two characters could have been the bytes of one
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
UPPER = re.compile(r"[\x80-\x9f]")  # control characters of Latin-1, which texts do not have
MARKUP = re.compile(
    r"&(?:amp|lt|gt|quot|nbsp|apos|#\d+);|<br ?/?>|</?(?:p|div|span|a|b|i|li|ul)\b[^<]{0,200}>", re.IGNORECASE
)
INVISIBLE = re.compile("[\ufeff\u200b]")


def examine_encoding(rows: Rows) -> list[Finding]:
    """Characters that show a wrong encoding, and marks of other formats."""
    if rows.task.rows.media is not Media.TEXT:
        return []
    checks: tuple[tuple[str, str, Callable[[str], str], str, bool], ...] = (
        (
            "encoding",
            "hold the replacement character U+FFFD, where a character was lost",
            lambda text: quote_around(text, text.find("\ufffd")) if "\ufffd" in text else "",
            "Read the source in its own encoding once more (--encoding for local files)",
            True,
        ),
        (
            "mojibake",
            "hold UTF-8 that was read as another encoding",
            find_misread,
            "Read the source as UTF-8 once more, or mend the texts with ftfy",
            True,
        ),
        (
            "windows-1252",
            "hold characters of Windows-1252 that were read as Latin-1",
            find_upper,
            "Read the source as Windows-1252 (--encoding cp1252 for local files)",
            True,
        ),
        ("control", "hold control characters", search(CONTROL), "Remove them", True),
        (
            "markup",
            "hold HTML",
            search(MARKUP),
            "Turn it into plain text, unless what is predicted has it too",
            False,
        ),
        ("invisible", "hold invisible characters", search(INVISIBLE), "Remove them", False),
    )
    found = []
    total = sum(map(len, rows.contents.values()))
    for check, what, sign, fix, serious in checks:
        hits = [
            (split, row, sample)
            for split, contents in rows.contents.items()
            for row, text in enumerate(contents)
            if (sample := sign(text))
        ]
        if hits:
            severity = "warning" if serious and len(hits) > MANY * total else "note"
            quoted = [f"{rows.place(split, row)}: {sample}" for split, row, sample in hits[:EXAMPLES]]
            found.append(Finding("data", check, severity, f"{share(len(hits), total)} rows {what}", quoted, fix))
    return found or [Finding("data", "encoding", "ok", "no sign of a wrong encoding")]


def search(pattern: re.Pattern[str]) -> Callable[[str], str]:
    """A check that quotes what is around the first match, or nothing."""

    def sign(text: str) -> str:
        hit = pattern.search(text)
        return quote_around(text, hit.start()) if hit else ""

    return sign


def quote_around(text: str, place: int) -> str:
    """The characters about a place, with those that cannot be seen spelt out."""
    return ascii(re.sub(r"[\n\t ]+", " ", text[max(0, place - 20) : place + 30]))


def find_upper(text: str) -> str:
    """The first character that Latin-1 has no sign for, with the sign of Windows-1252; "" where there is none."""
    hit = None if text.isascii() else UPPER.search(text)
    if hit is None:
        return ""
    meant = hit.group().encode("latin-1").decode("cp1252", errors="replace")
    return f"{quote_around(text, hit.start())}, where {ascii(hit.group())} is probably {meant!r}"


def find_misread(text: str) -> str:
    """The first piece whose characters are the bytes of other ones in UTF-8, with those; "" where there is none."""
    if text.isascii():
        return ""
    for hit in RUN.finditer(text):
        try:
            meant = b"".join(map(byte_of, hit.group())).decode("utf-8")
        except UnicodeError:
            continue
        start = text.rfind(" ", 0, hit.start()) + 1
        return f"{quote(text[start : hit.end()])}, probably {quote(text[start : hit.start()] + meant)}"
    return ""


def byte_of(character: str) -> bytes:
    """The byte that Windows-1252 shows as a character; where it knows none, Latin-1's."""
    try:
        return character.encode("cp1252")
    except UnicodeEncodeError:
        return character.encode("latin-1")


def examine_lengths(rows: Rows, codec: Codec) -> tuple[list[Finding], dict[str, Any]]:
    """Texts that are longer than the model reads, and tokens that the tokenizer does not know."""
    processor = codec.processor
    lengths, unknown, limit, windowed, lines, facts = {}, {}, 0, False, [], {}
    for split, loaded in rows.splits.items():
        picks = np.linspace(0, len(loaded) - 1, min(len(loaded), TOKENISED)).round().astype(int)
        try:
            tokens = codec.tokens(loaded.select(picks))
        except UserError as error:
            return [report_refusal("data", "lengths", error)], {}
        if tokens is None:
            return [], {}
        limit, windowed = tokens.limit, tokens.windowed
        lengths[split] = np.array([len(ids) for ids in tokens.ids])
        unknown[split] = [ids.count(processor.unk_token_id) for ids in tokens.ids]
        middle, high, most = np.percentile(lengths[split], [50, 95, 100])
        beyond = int((lengths[split] > limit).sum())
        some = f" (of {len(picks):,} rows)" if len(picks) < len(loaded) else ""
        spread = f"median {middle:.0f} tokens, 95 % within {high:.0f}, longest {most:.0f}"
        lines.append(f"{split}: {spread}; {beyond:,} beyond the limit{some}")
        facts[split] = {"median": middle, "p95": high, "most": most, "beyond_limit": beyond, "rows": len(picks)}
    found = [length_finding(np.concatenate(list(lengths.values())), limit, windowed, lines, processor.model_max_length)]
    found += unknown_findings(rows, lengths, unknown, processor)
    return found, {"limit": limit, **facts}


def length_finding(lengths: np.ndarray, limit: int, windowed: bool, lines: list[str], most: int) -> Finding:
    """The finding on texts that are longer than the limit.

    Args:
        lengths: tokens of every text.
        most: tokens that the model could read.
    """
    beyond = int((lengths > limit).sum())
    if not beyond:
        return Finding("data", "lengths", "ok", f"every text fits into the {limit} tokens that are read at once", lines)
    if windowed:
        what = f"{share(beyond, len(lengths))} texts are longer than {limit} tokens, and read in windows that overlap"
        return Finding("data", "lengths", "note", what, lines)
    what = f"{share(beyond, len(lengths))} texts are longer than the {limit} tokens that are read; the rest is cut off"
    if most > limit:
        # All of them, unless a few very long ones would set the size of every batch that they are in.
        enough = np.percentile(lengths, 99) if beyond > CUT * len(lengths) else lengths.max()
        fix = f"Set --max_length {min(most, int(np.ceil(enough / 32) * 32))}, which takes more memory and time"
    else:
        fix = "Put what matters first, split the texts, or use a checkpoint that reads more"
    return Finding("data", "lengths", "warning" if beyond > CUT * len(lengths) else "note", what, lines, fix)


def unknown_findings(
    rows: Rows, lengths: dict[str, np.ndarray], unknown: dict[str, list[int]], processor: Any
) -> list[Finding]:
    """Texts in characters that the tokenizer has no token for."""
    count, total = sum(map(sum, unknown.values())), int(sum(map(np.sum, lengths.values())))
    if processor.unk_token_id is None or count <= UNKNOWN * total:
        return []
    shares = [
        f"{split}: {share(sum(of_split), int(lengths[split].sum()))} tokens" for split, of_split in unknown.items()
    ]
    percent = 100 * count / total
    what = f"{percent:.1f} % of the tokens are unknown to the tokenizer, and carry no information for the model"
    fix = "Use a checkpoint of the language and the script of these texts"
    return [Finding("data", "unknown-tokens", "warning", what, shares, fix)]
