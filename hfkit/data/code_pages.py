"""Which 8-bit or East Asian encoding a text is in, by the letters that its languages write.

charset-normalizer needs some hundred bytes: of "mañana" alone it makes "mańana", of a line in KOI8-R Japanese. People's
files are short, and most of their bytes are ASCII. So the usual encodings are weighed here: how likely are the
characters beyond ASCII, if the text is in this language and encoding? Only what none of them explains is left to it.
"""

import math
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from charset_normalizer import from_bytes

ASCII_BYTE = 3.0  # nats that a byte of ASCII costs: Shift-JIS and GBK take some as the second half of a character
FLOOR = math.log(1e-6)
CLEAR = math.log(8)  # odds at which the best reading is taken without asking
PLAUSIBLE, PLAUSIBLE_IDEOGRAPHS = -7.0, -11.0  # nats per character, below which no language explains a reading

# The letters beyond ASCII of a language, from the most to the least frequent.
LETTERS = {
    "english": "éïèçñêöüôâëàáó",
    "french": "éèàêçùûîôëïœâ",
    "german": "üäöß",
    "spanish": "óíáéñú¿¡ü",
    "portuguese": "ãçéáíõêóâúà",
    "italian": "èàòùìé",
    "catalan": "àóèíéçòúïü",
    "dutch": "ëéïüö",
    "swedish": "äöåé",
    "danish": "øåæé",
    "icelandic": "áíðéóþöúæý",
    "polish": "ęąłóżśćźń",
    "czech": "íáéěřšžýčůúňťóďôľäĺŕ",
    "hungarian": "áéőöíüóúű",
    "romanian": "ăîşţâ",
    "croatian": "čšžćđ",
    "turkish": "ıüşçğöİâî",
    "lithuanian": "ėąųšįčžęū",
    "latvian": "āīēšķļžņģūč",
    "estonian": "äõüöšž",
    "russian": "оеаинтсрвлкмдпуяыьгзбчйхжшюцщэфъё",
    "ukrainian": "оанивіетрсклдумпзягбьчхйжцшюїєщфґ",
    "bulgarian": "аоиетнрсвлкдпмзгъубяцчжщхшюйфь",
    "greek": "αοιετσνηυρπκμλςωδγχθφάίόέβήύξζώψϊΐϋΰ",
    "hebrew": "יוהלאתרמשבנםעדחקפכטגצןסזךףץ",
    "arabic": "الينمورتبةعدسفهكقأحجىشطصخضذئزءغثظإآؤ،؟",
    "thai": "านรอกเงมยลวดทตสิปะบคหแจพชขใ้่็ีัไูุำโผซณฐศธถฉภษฟฝฮฎญฏฆฑฒฌฬฤึื์",
}
# Frequent characters, where a writing system has thousands.
COMMON = {
    "chinese": "的一是不了在人有我他这这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自",
    "traditional": "的一是不了在人有我他這個們中來上大為和國地到以說時要就出會可也你對生能而子那得於著下自之",
    "japanese": "のにはをたがでてとしれさいるなもすからこりあくまっうよけどえそきつわめんやみょゅじだンスルトイア",
    "korean": "이다는을의에가고하지은도기를한사로나리어인대서아자시일정스수그보만해있었라들않네요영화정말좋",
}
MARKS = "“”‘’„–—…€•°§«»£©®™·ºª¿¡´\u00a0"  # in a text of any language
FINAL = "ךםןףץةى"  # letters that stand at the end of a word
WIDE_MARKS = "，。、！？：；「」（）《》【】“”…—　〜"


@dataclass(frozen=True)
class Page:
    """An encoding, the languages that are written in it, and how much rarer it is than Windows-1252."""

    codec: str
    languages: tuple[str, ...]
    rarity: float  # nats
    rows: tuple[str, int, int] | None = None  # codec and lead bytes of the frequent half of its characters


WESTERN = (
    *("english", "french", "german", "spanish", "portuguese", "italian", "catalan", "dutch", "swedish", "danish"),
    *("icelandic", "estonian"),
)
CENTRAL = ("polish", "czech", "hungarian", "romanian", "croatian")
SLAVIC = ("russian", "ukrainian", "bulgarian")
PAGES = (
    Page("cp1252", WESTERN, 0),
    Page("cp1250", CENTRAL, 3),
    Page("cp1254", ("turkish",), 2),
    Page("cp1257", ("lithuanian", "latvian"), 2),
    Page("iso8859-2", CENTRAL, 6),
    Page("iso8859-15", WESTERN, 6),
    Page("mac-roman", WESTERN, 6),
    Page("cp850", WESTERN, 6),
    Page("cp852", CENTRAL, 6),
    Page("cp1251", SLAVIC, 1),
    Page("koi8-r", ("russian",), 3),
    Page("koi8-u", ("ukrainian",), 4),
    Page("cp866", SLAVIC, 3),
    Page("iso8859-5", SLAVIC, 5),
    Page("mac-cyrillic", SLAVIC, 5),
    Page("cp1253", ("greek",), 1),
    Page("iso8859-7", ("greek",), 2),
    Page("cp1255", ("hebrew",), 1.5),
    Page("cp1256", ("arabic",), 1),
    Page("iso8859-6", ("arabic",), 3),
    Page("cp874", ("thai",), 1),
    Page("gb18030", ("chinese",), 1, ("gb2312", 0xB0, 0xD7)),
    Page("big5", ("traditional",), 1, ("big5", 0xA4, 0xC6)),
    Page("cp932", ("japanese",), 1, ("euc_jp", 0xB0, 0xCF)),
    Page("euc_jp", ("japanese",), 2, ("euc_jp", 0xB0, 0xCF)),
    Page("cp949", ("korean",), 1, ("euc_kr", 0xB0, 0xC8)),
)


@dataclass(frozen=True)
class Reading:
    """A sample as one encoding gives it."""

    codec: str
    text: str
    score: float  # nats: log-likelihood of the sample


def guess_readings(sample: bytes) -> list[Reading]:
    """The readings of a sample that is not UTF-8, the likeliest first: one, or several that it cannot decide between.

    Readings that are not plausible are not among them; the list is empty if there is none.
    """
    found: dict[str, Reading] = {}
    for page in PAGES:
        try:
            text = sample.decode(page.codec)
        except UnicodeDecodeError:
            continue
        beyond = sum(character > "\x7f" for character in text)
        score = max(score_text(text, language, page) for language in page.languages) - page.rarity
        letters = score + ASCII_BYTE * (len(text) - beyond) + page.rarity
        if letters < (PLAUSIBLE if page.rows is None else PLAUSIBLE_IDEOGRAPHS) * beyond:
            continue
        # Encodings that give the same text are one reading, under the name of the most usual one.
        if text not in found or found[text].score < score:
            found[text] = Reading(page.codec, text, score)
    readings = sorted(found.values(), key=lambda reading: -reading.score)
    if not readings:
        best = from_bytes(sample).best()
        return [] if best is None else [Reading(best.encoding, sample.decode(best.encoding), 0.0)]
    return [reading for reading in readings if reading.score > readings[0].score - CLEAR]


def score_text(text: str, language: str, page: Page) -> float:
    """Log-likelihood of a text in a language, in nats."""
    weights, total = letter_weights(language), -ASCII_BYTE * sum(character < "\x80" for character in text)
    for found in re.finditer(r"[^\x00-\x7f]", text):
        at = found.start()
        before, behind = text[at - 1 : at], text[at + 1 : at + 2]
        total += score_character(found[0], before, behind, language, page, weights)
    return total


def score_character(
    character: str, before: str, behind: str, language: str, page: Page, weights: dict[str, float]
) -> float:
    """Log-likelihood of a character beyond ASCII between its neighbours."""
    if page.rows is not None:
        return weights[character] if character in weights else score_ideograph(character, page)
    score = weights.get(character)
    if score is None and character.lower() in weights:
        # "éÀ" within a word shows that the page is wrong; "ÀÉ" may be a title.
        score = weights[character.lower()] + (FLOOR / 2 if before.islower() else -1.5)
    if score is not None:
        within = character in FINAL and behind.isalpha()
        return score + score_neighbours(before, behind, language) + FLOOR / 2 * within
    if character in MARKS and not (character not in "’–·" and before.isalpha() and behind.isalpha()):
        return math.log(0.05 if character == "’" else 0.01)
    return FLOOR


def score_neighbours(before: str, behind: str, language: str) -> float:
    """The nats that a letter loses by its place: few Latin ones stand side by side, few others beside ASCII."""
    if is_latin(language):
        return (math.log(0.2) if before.isalpha() and not before.isascii() else 0) - 2 * before.isdigit()
    beside = any(side.isascii() and side.isalnum() for side in (before, behind))
    alone = not any(side.isalpha() for side in (before, behind))
    return FLOOR / 2 * beside - 2 * alone


@cache
def is_latin(language: str) -> bool:
    return unicodedata.name(LETTERS[language][0]).startswith("LATIN")


def score_ideograph(character: str, page: Page) -> float:
    if character in WIDE_MARKS:
        return math.log(0.03)
    if "\u3040" < character < "\u30ff":
        return math.log(0.3 / 170)  # kana
    codec, first, last = page.rows or ("ascii", 0, 0)
    try:
        usual = first <= character.encode(codec)[0] <= last
    except UnicodeEncodeError:
        usual = False
    return math.log(0.4 / 3000 if usual else 0.002 / 20000)


@cache
def letter_weights(language: str) -> dict[str, float]:
    """Log-probability of each letter beyond ASCII, from its rank."""
    if language in COMMON:
        return {letter: math.log(0.5 / len(COMMON[language])) for letter in COMMON[language]}
    letters = LETTERS[language]
    whole = sum(1 / rank for rank in range(2, len(letters) + 2))
    return {letter: math.log(0.9 / rank / whole) for rank, letter in enumerate(letters, 2)}


def differing_words(readings: list[Reading]) -> Iterator[str]:
    """For each reading, a word by which it differs from the others."""
    words = [reading.text.split() for reading in readings]
    # A code page that decodes a blank splits other words: then whole texts are compared.
    if len({len(found) for found in words}) > 1:
        words = [[reading.text.strip()] for reading in readings]
    place = next(at for at, several in enumerate(zip(*words, strict=True)) if len(set(several)) > 1)
    yield from (found[place][:40] for found in words)
