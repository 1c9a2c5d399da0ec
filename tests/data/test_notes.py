"""Notes: told once, kept for whoever collects them, and silent where that is asked."""

from hfkit.data.notes import collect_notes, tell


def test_a_note_is_printed_once_and_kept_by_every_collection_around_it(capsys):
    with collect_notes() as outer:
        tell("a.csv: read")
        with collect_notes() as inner:
            tell("a.csv: read")
            tell("b.csv: read")
            tell("b.csv: read")
    assert outer == inner == ["a.csv: read", "b.csv: read"]
    assert capsys.readouterr().out == "a.csv: read\na.csv: read\nb.csv: read\n"


def test_a_note_quotes_no_secret(capsys):
    with collect_notes() as notes:
        tell("the label is read from column 'hf_" + "Ab1" * 11 + "'")
    assert notes == ["the label is read from column '(withheld)'"]
    assert capsys.readouterr().out == f"{notes[0]}\n"


def test_a_collection_may_be_silent_with_all_inside_it(capsys):
    with collect_notes(aloud=False) as notes, collect_notes():
        tell("a.csv: read")
    assert notes == ["a.csv: read"] and capsys.readouterr().out == ""
