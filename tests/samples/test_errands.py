"""The sample conversations keep their promises: the script still writes them, and each has an answer to find."""

from hfkit.samples.errands import sample_errands
from hfkit.tasks import Chat
from samples_source import make_errands


def test_the_script_writes_the_committed_files_byte_for_byte(tmp_path):
    make_errands.write(tmp_path)
    for file in make_errands.FOLDER.glob("*.jsonl"):
        assert (tmp_path / file.name).read_bytes() == file.read_bytes()


def test_no_question_comes_twice_and_some_conversations_have_a_system_or_several_turns():
    rows = [messages for of_split in sample_errands().values() for messages in of_split["messages"]]
    asked = [str(messages[-2:]) for messages in rows]
    assert len(asked) == len(set(asked)) == sum(make_errands.SIZES.values())
    assert 0.2 < sum(messages[0]["role"] == "system" for messages in rows) / len(rows) < 0.5
    assert 0.2 < sum(len(messages) > 3 for messages in rows) / len(rows) < 0.6
    assert all(map(len, Chat().load().splits.values()))
