"""CoNLL files: words and tags are found by what stands in the columns, and lines that are neither are told or named."""

import pytest

from hfkit.data.bad_rows import count_skipped
from hfkit.data.conll_files import line_faults, read_conll
from hfkit.errors import DataError, UserError
from hfkit.tasks import NER

WORDS = [["Anna", "left", "Paris"], ["Rain"]]
TAGS = [["B-PER", "O", "B-LOC"], ["O"]]

# How the same two sentences are written
FILES: dict[str, str | bytes] = {
    "word and tag": "Anna B-PER\nleft O\nParis B-LOC\n\nRain O\n",
    "tag and word": "B-PER\tAnna\nO\tleft\nB-LOC\tParis\n\nO\tRain\n",
    "as in CoNLL-2003": "-DOCSTART- -X- -X- O\n\nAnna NNP B-NP B-PER\nleft VBD B-VP O\nParis NNP B-NP B-LOC\n\n"
    "Rain NN B-NP O\n",
    "as in GermEval": "#\tone\t[2010]\n"
    "1\tAnna\tB-PER\tB-LOC\n2\tleft\tO\tO\n3\tParis\tB-LOC\tO\n\n#\ttwo\n1\tRain\tO\tO\n",
    "inner level without a tag": "1\tAnna\tB-PER\tO\n2\tleft\tO\tO\n3\tParis\tB-LOC\tO\n\n1\tRain\tO\tO\n",
    "as in UNER": "# sent_id = 1\n"
    "1\tAnna\tB-PER\t-\teva\n2\tleft\tO\t-\teva\n3\tParis\tB-LOC\t-\teva\n\n1\tRain\tO\t-\teva\n",
    "numbers through the file": "0 Anna B-PER\n1 left O\n2 Paris B-LOC\n\n3 Rain O\n",
    "tags in the middle": "Anna B-PER NNP\nleft O VBD\nParis B-LOC NNP\n\nRain O NN\n",
    "blank lines of blanks, a byte-order mark and CRLF": "\ufeffAnna\tB-PER\r\n"
    "left\tO\r\nParis\tB-LOC\r\n \t\r\n\r\nRain\tO",
    "UTF-16": "Anna B-PER\nleft O\nParis B-LOC\n\nRain O\n".encode("utf-16"),
    "tabs in some lines, blanks in others": "Anna\tB-PER\nleft O\nParis\tB-LOC\t\n\nRain\tO\n",
    "several blanks": "Anna    B-PER\nleft    O\nParis   B-LOC \n\nRain    O\n",
}


@pytest.mark.parametrize("name", FILES)
def test_words_and_tags_are_found(name, tmp_path):
    text = FILES[name]
    path = tmp_path / "train.conll"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    found = read_conll({"train": [path]})["train"]
    assert found["tokens"][:] == WORDS and found["tags"][:] == TAGS


def read(tmp_path, text: str, **more: str):
    paths = {}
    for split, content in {"train": text, **more}.items():
        paths[split] = [tmp_path / f"{split}.conll"]
        paths[split][0].write_text(content, encoding="utf-8")
    return read_conll(paths)


def test_what_was_understood_is_told_unless_it_is_the_usual_order(tmp_path, capsys):
    read(tmp_path, FILES["word and tag"])
    assert capsys.readouterr().out == ""
    found = read(tmp_path, FILES["as in GermEval"])["train"]
    told = capsys.readouterr().out
    assert "train: 2 lines that begin with # are comments" in told
    assert "words in column 2, tags in column 3; running numbers in column 1" in told
    assert "further levels of tags are in column_4 (--tags_column column_4)" in told
    assert found["column_4"][0] == ["B-LOC", "O", "O"]


def test_a_word_may_begin_with_the_sign_of_a_comment(tmp_path):
    found = read(tmp_path, "# O\n#paris B-LOC\n# a comment\nrain O\n")["train"]
    assert found["tokens"][:] == [["#", "#paris", "rain"]]


def test_the_order_is_that_of_train_in_every_split(tmp_path):
    found = read(tmp_path, FILES["tag and word"], test="O\tO\n", validation="B-PER\tO\n")
    assert (found["test"]["tokens"][:], found["validation"]["tags"][:]) == ([["O"]], [["B-PER"]])


def test_a_split_of_words_alone_has_no_tags(tmp_path):
    found = read(tmp_path, FILES["word and tag"], test="Eva\ncame\n\nSun\n")
    assert found["test"].column_names == ["tokens"] and found["test"]["tokens"][:] == [["Eva", "came"], ["Sun"]]


def test_conll_u_gives_its_columns_and_counts_what_stands_over_words(tmp_path, capsys):
    rest = "\t_\t0\troot\t_\t_"
    text = (
        "# text = Vámonos\n1-2\tVámonos\t_\t_\t_" + rest + "\n1\tVamos\tir\tVERB\tV" + rest + "\n"
        "2\tnos\tnosotros\tPRON\tP" + rest + "\n2.1\tnada\tnada\tPRON\tP" + rest + "\n"
    )
    found = read(tmp_path, text)["train"]
    assert found["tokens"][:] == [["Vamos", "nos"]] and found["upos"][:] == [["VERB", "PRON"]]
    assert found["lemmas"][:] == [["ir", "nosotros"]] and found["xpos"][:] == [["V", "P"]]
    told = capsys.readouterr().out
    assert "2 words of 1 sentences; left out: 1 ranges such as 1-2 and 1 empty nodes such as 8.1" in told


def test_a_ragged_line_is_named_by_its_number(tmp_path):
    ragged = read(tmp_path, "Anna B-PER\nleft O\n\nParis\nhas O\n")["train"]
    (fault,) = line_faults(ragged)
    assert (fault.row, fault.value) == (1, "train.conll, line 4: 'Paris'") and "too few columns" in fault.rule
    assert ragged["tokens"][:] == [["Anna", "left"], []]
    with pytest.raises(UserError, match="a token and its tag, and its first line is 'Anna'"):
        read(tmp_path, "Anna\nleft\n")
    with pytest.raises(DataError, match="cannot be read as conll, or holds no rows"):
        read(tmp_path, "\n\n", test="Anna O\n")


def test_a_sentence_with_a_ragged_line_is_refused_or_left_out_and_counted(tmp_path):
    good = "Anna B-PER\nleft O\n\nRain O\n\n"
    for split in ("validation", "test"):
        (tmp_path / f"{split}.conll").write_text(good)
    (tmp_path / "train.conll").write_text(good + "Paris\nhas O\n\nOslo B-LOC\n\nNew York B-LOC\n")
    with pytest.raises(DataError, match=r"row 2.*line 6: 'Paris': the line has too few .*--on_bad_row skip"):
        NER(dataset=str(tmp_path)).load()
    loaded = NER(dataset=str(tmp_path), on_bad_row="skip").load()
    assert loaded["train"]["tokens"][:] == [["Anna", "left"], ["Rain"], ["Oslo"]]
    assert sum(count_skipped(loaded["train"]).values()) == 2
