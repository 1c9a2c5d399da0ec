"""What a codec or a task can do besides is known by isinstance, and by nothing else."""

from hfkit.contract.abilities import (
    Compared,
    Focused,
    Likely,
    Pictured,
    Pooled,
    Probed,
    Prompted,
    Stored,
    Tuned,
    Varied,
    training_collator,
    varies,
)
from hfkit.contract.target import Labels
from hfkit.tasks import NER, ImageClassification, PartOfSpeech, TextClassification
from tests.tiny import images

LABELS = Labels(("a", "b"))
ABILITIES = (Probed, Pooled, Tuned, Likely, Focused, Compared, Varied, Stored, Pictured)


def abilities_of(codec) -> set[type]:
    return {ability for ability in ABILITIES if isinstance(codec, ability)}


def test_codecs_have_the_abilities_of_their_medium(checkpoint, tmp_path):
    words = NER().codec(checkpoint, Labels(("O", "B-PER", "I-PER")))
    texts = TextClassification().codec(checkpoint, LABELS)
    pictures = ImageClassification().codec(images.resnet(tmp_path), LABELS)
    assert abilities_of(words) == {Probed, Tuned, Focused, Compared, Varied}
    assert abilities_of(texts) == {Probed, Pooled, Tuned, Likely, Focused, Compared, Varied}
    assert abilities_of(pictures) == {*ABILITIES} - {Pooled}
    assert (varies(words), varies(texts), varies(pictures)) == (None, None, "rows")


def test_training_differs_from_evaluation_only_where_something_is_drawn(checkpoint):
    for task in (NER, PartOfSpeech, TextClassification):
        plain, hiding, in_spans = (
            task(**flags).codec(checkpoint, LABELS) for flags in ({}, {"word_dropout": 0.2}, {"span_masking": 0.2})
        )
        assert training_collator(plain, 0) is plain.collate
        assert training_collator(hiding, 0) is not hiding.collate and varies(hiding) == varies(in_spans) == "rows"


def test_only_some_tasks_can_be_asked_in_words():
    expected = {NER: True, TextClassification: True, PartOfSpeech: False, ImageClassification: False}
    assert {task: isinstance(task(), Prompted) for task in expected} == expected
