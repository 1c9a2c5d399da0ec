"""Tables of text as programs write them: every cell as it was, everything odd told, every broken line named."""

import csv

import pytest

from hfkit.data.tables import read_table
from hfkit.errors import DataError


@pytest.fixture
def small_limit():
    before = csv.field_size_limit(100)
    yield
    csv.field_size_limit(before)


def write(folder, content, name="some.csv"):
    (path := folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_long_cells_are_read_and_the_limit_of_other_readers_stays(tmp_path, small_limit):
    rows = read_table("train", [write(tmp_path, f"text,label\n{'x' * 500},a\n{'y' * 500},b\n")])
    assert [len(text) for text in rows["text"]] == [500, 500] and csv.field_size_limit() == 100
    with pytest.raises(DataError, match="line 2"):
        read_table("train", [write(tmp_path, 'text,label\n"x"y,a\n')])
    assert csv.field_size_limit() == 100


READ = {
    "commas": ("text,label\na b,x\n", [["a b", "x"]], None),
    "semicolons and commas in numbers": ("text;price\na, b;3,5\nc;4,2\n", [["a, b", "3,5"], ["c", "4,2"]], "by ';'"),
    "tabs in a .csv": ("text\tlabel\na, b\tx\n", [["a, b", "x"]], "by tabs"),
    "bars": ("text|label\na|x\n", [["a", "x"]], "by '|'"),
    "Excel's own line": ("sep=;\r\ntext;label\r\na;x\r\n", [["a", "x"]], "by ';'"),
    "Excel's export": ("text;label\r\nnaïve – a;x\r\n".encode("cp1252"), [["naïve – a", "x"]], "Windows-1252, s"),
    "Excel's Unicode text": ("text\tlabel\r\nnaïve\tx\r\n".encode("utf-16"), [["naïve", "x"]], "UTF-16, s"),
    "a mark": ("text,label\na,x\n".encode("utf-8-sig"), [["a", "x"]], None),
    "ends of old Macintoshs": ("text,label\ra,x\rb,y\r", [["a", "x"], ["b", "y"]], None),
    "line ends in quotes": ('text,label\n"a\n\nb, ""c""",x\n', [['a\n\nb, "c"', "x"]], None),
    "blanks before quotes": ('text, label\n"a, b", x\nc, "d, e"\n', [["a, b", "x"], ["c", "d, e"]], None),
    "empty lines": ("text,label\n\na,x\n\n\nb,y\n\n", [["a", "x"], ["b", "y"]], None),
    "empty cells behind": ("text;label\na;x;\nb;y;;\n;\n;\n", [["a", "x"], ["b", "y"]], "by ';'"),
    "one column": ("text\na\nb; c\n", [["a"], ["b; c"]], None),
    "null": ("text,label\nNA,null\nNone,nan\n", [["NA", "null"], ["None", "nan"]], None),
    "the row numbers of pandas": (",text,label\n0,a,x\n", [["0", "a", "x"]], "without a name are called column_1"),
    "the columns of pandas": ("0,1\nI like it,0\nthis one too,1\nnot this,1\n", [["I like it", "0"]], None),
    "a form's question": (
        "How did you like the hotel?;Grade\nIt was good for us\\, really;2\nBad, never again in my life;1\n",
        [["It was good for us\\, really", "2"]],
        "by ';'",
    ),
    "classes that have numbers for names": ("text,0,1\nI like it a lot,0,1\nnot this one,1,0\n", [], None),
}


@pytest.mark.parametrize("kind", READ)
def test_what_has_one_reading_is_read_and_told(kind, tmp_path, capsys):
    content, rows, told = READ[kind]
    found = read_table("train", [write(tmp_path, content)])
    assert [list(row.values()) for row in found][: len(rows)] == rows
    assert told in capsys.readouterr().out if told else not capsys.readouterr().out


HEADLESS = (
    "I liked every minute of it,good\nthe soup was awful this time,bad\na lovely film to see,good\nso bad it is,bad\n"
)


@pytest.mark.parametrize(
    ("lines", "names"),
    [
        (HEADLESS + "a dark and smelly room,bad\n", ["text", "label"]),
        ("1;it was all fine\n0;it was not so fine\n1;I would go there again\n0;never\n", ["label", "text"]),
        ("".join(f"MQYKLILNGKTLKGETTTEA{a},{n % 2}\n" for n, a in enumerate("VAETKG")), ["text", "label"]),
        ("I liked every minute of it\nthe soup was awful this time\na lovely film to see\n", ["text"]),
    ],
)
def test_a_first_line_that_is_a_row_is_a_row(lines, names, tmp_path, capsys):
    rows = read_table("train", [write(tmp_path, lines)])
    assert len(rows) == lines.count("\n") and rows.column_names == names
    assert f"no line of names, its columns are {' and '.join(names)}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        ('text\tlabel\n"Great" they said\tgood\n', ['"Great" they said']),
        ('text\tlabel\n"Hi\tgood\nBye"\tbad\n', ['"Hi', 'Bye"']),  # as quotes of CSV, one row and no error
        ('text\tlabel\n"a\nb"\tgood\n"c\td"\tbad\n', ["a\nb", "c\td"]),
    ],
)
def test_quotes_between_tabs_are_plain_where_they_would_join_lines(content, rows, tmp_path):
    assert read_table("train", [write(tmp_path, content, "some.tsv")])["text"][:] == rows


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('text,label\n"a\nb",x\n\nc,d,y\n', "row 1: 3 columns in line 5 of some.csv, beginning 'c'"),
        ("text,label\na,x\nb\n", "row 1: 1 column in line 3"),
        ("text\nhello, world\n", "row 0: 2 columns .* has the 1 column that"),
        ("text,label\na,x\ntext,label\nb,y\n", "row 1: line 3 of some.csv is text, label: names of columns"),
        ("text,label,text\na,x,b\n", "'text' comes twice"),
        (",\na,b\n", "the first line of some.csv is missing"),
        ("", "the first line of some.csv is missing"),
        ("text,label\n", "it holds no rows"),
        ("a,b;c,d\n1,2;3,4\n", "they may be separated by .* sep="),
        (HEADLESS.replace("\n", ",1\n") + "so so,bad,1\n", "line of some.csv is I liked .* looks like a row"),
        ("Great,good\n" + HEADLESS + "so bad,bad\n", "looks like a row, and the first line is the header"),
    ],
)
def test_what_has_no_reading_or_two_is_refused_by_its_line(content, message, tmp_path):
    with pytest.raises(DataError, match=message):
        read_table("train", [write(tmp_path, content)])


def test_files_of_a_split_have_the_same_columns_and_are_told_together(tmp_path, capsys):
    paths = [write(tmp_path, f"text;label\n{n};x\n", f"{n}.csv") for n in range(3)]
    assert read_table("train", paths)["text"][:] == ["0", "1", "2"]
    assert capsys.readouterr().out == "0.csv and 2 more: separated by ';'\n"
    with pytest.raises(DataError, match="the columns of 1.csv are text, grade: .*0.csv has text, label"):
        read_table("train", [paths[0], write(tmp_path, "text,grade\na,1\n", "1.csv")])


def test_a_long_file_is_read_in_pieces_and_empty_rows_at_its_end_are_none(tmp_path):
    lines = "".join(f"{'long text ' * 12}{n};{n}\n" for n in range(25_000))
    rows = read_table("train", [write(tmp_path, "text;n\n" + lines + ";\n" * 20_001)])
    assert rows["n"][:] == list(map(str, range(25_000)))
    with pytest.raises(DataError, match=r"row 20001: 1 column in line 20003"):
        read_table("train", [write(tmp_path, "text;n\n" + lines.replace(";20001\n", "\n"))])
