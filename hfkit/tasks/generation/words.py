"""Words of a text in any language, and of English as rouge-score takes them."""

import regex

# A run of letters, marks and numbers; of scripts without blanks between words each character by itself.
WORD = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]\p{M}*|[\p{L}\p{N}\p{M}]+")
FOREIGN = regex.compile(r"(?![a-zA-Z])\p{L}")
LETTER = regex.compile(r"\p{L}")


def split_words(text: str) -> list[str]:
    """The words of a text in small letters, without punctuation."""
    return WORD.findall(text.lower())


def count_words(text: str) -> int:
    return len(split_words(text))


def foreign_share(texts: list[str]) -> float:
    """The share of letters other than a to z, which rouge-score's own tokenizer drops."""
    letters = sum(len(LETTER.findall(text)) for text in texts)
    return sum(len(FOREIGN.findall(text)) for text in texts) / max(1, letters)
