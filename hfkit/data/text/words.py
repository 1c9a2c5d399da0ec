"""Running text to words with their positions, by its characters alone: training and predicting read alike."""

import re
from typing import Literal, NamedTuple

import regex

Level = Literal["words", "marks", "characters"]

# Scripts that put no blanks between words: every character is a word of its own, as in most corpora of them.
ALONE = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}]"
ONE = rf"{ALONE}[\p{{M}}ー]*"
RUN = rf"(?:(?!{ALONE})\w)+"  # `\w` of regex, unlike that of re, holds the accents and vowel signs of any script
MARK = r"[^\w\s]\p{M}*(?:\u200d[^\w\s]\p{M}*)*"  # an emoji of several people is one mark
OWNER = r"(?<=\w)['’][sS]\b"  # Anna's: two words, as in most corpora

# As in most corpora of entities, a mark at the edge of a word is a word, and one inside it (U.S, don't, 3.5) is not.
PATTERNS = {
    "words": regex.compile(rf"{ONE}|{OWNER}|{RUN}(?:(?!{OWNER})[^\w\s]+{RUN})*|{MARK}"),
    "marks": regex.compile(rf"{ONE}|(?:(?!{ALONE})[^\W\d_])+|\d+|_|(?!{ALONE})\w|{MARK}"),
    "characters": regex.compile(r"(?!\s)\X"),
}
# The same words for plain English, in half the time.
ASCII_WORDS = re.compile(r"(?<=\w)'[sS]\b|\w+(?:(?!'[sS]\b)[^\w\s]+\w+)*|[^\w\s]", re.ASCII)


class Words(NamedTuple):
    """Words and marks of a text, and the character at which each begins."""

    words: list[str]
    starts: list[int]


def split_words(text: str, level: Level = "words") -> Words:
    """The words and marks of a text.

    Args:
        level: 'words' keeps marks within a word; 'marks' makes every mark a word, and parts letters from digits;
            'characters' makes every character a word.
    """
    pattern = ASCII_WORDS if level == "words" and text.isascii() else PATTERNS[level]
    matches = list(pattern.finditer(text))
    return Words([word.group() for word in matches], [word.start() for word in matches])
