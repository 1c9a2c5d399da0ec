"""The sample documents keep their promises: the script still writes them, and splits share no names."""

from hfkit.samples.logbook import sample_logbook
from samples_source import make_logbook
from samples_source.logbook_material import WORDS


def test_the_script_writes_the_committed_files_byte_for_byte(tmp_path):
    make_logbook.write(tmp_path)
    for file in make_logbook.FOLDER.glob("*.jsonl"):
        assert (tmp_path / file.name).read_bytes() == file.read_bytes()


def test_no_document_comes_twice_and_no_split_holds_the_names_of_another():
    splits = {split: rows["text"][:] for split, rows in sample_logbook().items()}
    texts = [text for of_split in splits.values() for text in of_split]
    assert len(texts) == len(set(texts)) == sum(make_logbook.SIZES.values())
    for split, of_split in splits.items():
        others = {
            name
            for other in {*WORDS} - {split}
            for kind in ("boat", "keeper")
            for name in WORDS[other][kind].split(";")
        }
        assert not [name for name in others if any(f" {name} " in text for text in of_split)]
