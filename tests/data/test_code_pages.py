"""Short texts, as people's files have them, are known by their letters; where two readings are likely, both come."""

import pytest

from hfkit.data.code_pages import guess_readings

TEXTS = {
    "french": ("Café crème, naïve déjà vu", "cp1252"),
    "one word": ("mañana", "cp1252"),
    "german": ("Die Straße ist schön, Äpfel für Müller", "cp1252"),
    "quotes alone": ("don’t – “ever”", "cp1252"),
    "italian": ("perché non è così", "cp1252"),
    "danish": ("smørrebrød på øen", "cp1252"),
    "portuguese": ("não é uma opção, coração", "cp1252"),
    "capitals": ("CAFÉ CRÈME", "cp1252"),
    "polish": ("zażółć gęślą jaźń", "cp1250"),
    "polish of unix": ("źródło śliwka, że są", "iso8859-2"),
    "czech": ("příliš žluťoučký kůň", "cp1250"),
    "hungarian": ("árvíztűrő tükörfúrógép", "cp1250"),
    "turkish": ("Türkçe çok güzel bir şehir", "cp1254"),
    "lithuanian": ("ačiū už gražią dieną", "cp1257"),
    "macintosh": ("Café crème, naïve déjà vu", "mac-roman"),
    "dos": ("Café crème, naïve déjà vu", "cp850"),
    "russian": ("отличный фильм", "cp1251"),
    "russian of unix": ("отличный фильм", "koi8-r"),
    "russian of dos": ("отличный фильм", "cp866"),
    "ukrainian": ("дуже гарний фільм, її", "cp1251"),
    "greek": ("Καλημέρα κόσμε, τι κάνεις", "cp1253"),
    "hebrew": ("שלום עולם, זה סרט טוב ואני אוהב אותו", "cp1255"),
    "arabic": ("مرحبا بالعالم هذا فيلم جميل", "cp1256"),
    "thai": ("หนังดีมาก", "cp874"),
    "chinese": ("这部电影很好看，我喜欢", "gb18030"),
    "traditional": ("這部電影很好看，我喜歡", "big5"),
    "japanese": ("この映画はとても良かった", "cp932"),
    "japanese of unix": ("この映画はとても良かった", "euc_jp"),
    "korean": ("이 영화는 정말 좋았다", "cp949"),
}


@pytest.mark.parametrize("kind", TEXTS)
def test_a_short_text_has_one_reading(kind):
    text, codec = TEXTS[kind]
    line = f"text,label\n{text},good\n"
    assert [reading.text for reading in guess_readings(line.encode(codec))] == [line]


def test_a_word_of_two_languages_has_two_readings():
    assert {reading.text for reading in guess_readings("şarkı".encode("cp1254"))} == {"şarkı", "þarký"}


def test_an_encoding_that_is_not_among_the_usual_ones_is_left_to_the_library():
    text = "Это очень хороший фильм, и я советую его всем друзьям. Музыка тоже понравилась.\n" * 4
    [reading] = guess_readings(text.encode("ptcp154"))
    assert reading.text == text
