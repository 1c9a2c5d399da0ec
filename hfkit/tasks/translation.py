"""Translation: a text in one language in, the same in another one out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from transformers import PreTrainedConfig

from hfkit.contract.target import Nothing
from hfkit.contract.task import Sample
from hfkit.errors import UserError
from hfkit.samples.toy_language import sample_toy_language
from hfkit.tasks.generation.flags import Generation
from hfkit.tasks.generation.judges import TranslationJudge
from hfkit.tasks.generation.pairs import TextPairs

SOURCES = (("source", "src", "source_text", "src_text"), ("text", "sentence", "input"))
TARGETS = (("target", "tgt", "trg", "target_text", "tgt_text"), ("translation", "reference", "output"))
LANGUAGES = {"source_language": "hfkit_source_language", "target_language": "hfkit_target_language"}


@dataclass(frozen=True)
class Translation(Generation):
    """Texts in another language."""

    source_language: str | None = field(
        default=None, metadata={"help": "language of the sources as the checkpoint calls it: en, en_XX, eng_Latn"}
    )
    target_language: str | None = field(default=None, metadata={"help": "language of the targets, likewise"})
    bleu_tokenizer: Literal["13a", "intl", "zh", "char", "none"] = field(
        default="13a", metadata={"help": "how sacrebleu splits words: '13a' for most languages, 'zh' for Chinese"}
    )

    key: ClassVar[str] = "translation"
    tag: ClassVar[str] = "translation"
    sample: ClassVar[Sample] = Sample("sample-t5", sample_toy_language, license="apache-2.0", language="en")

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.source_language is None) != (self.target_language is None):
            raise UserError(
                f"source_language={self.source_language}, target_language={self.target_language}",
                "a translation has a language on either side",
                "Name both, or neither",
            )

    @property
    def languages(self) -> tuple[str, str] | None:
        return None if self.source_language is None else (self.source_language, self.target_language)

    @property
    def prefix_keys(self) -> tuple[str, ...]:
        return () if self.languages is None else (f"translation_{self.source_language}_to_{self.target_language}",)

    @property
    def instruction(self) -> tuple[str, str]:
        into = f" into {self.target_language}" if self.target_language else ""
        return f"Translate each text{into}.", "Translation:"

    @property
    def rows(self) -> TextPairs:
        return TextPairs(
            self.source_column,
            self.target_column,
            self.unit_column,
            SOURCES,
            TARGETS,
            self.sample.rows,
            languages=self.languages,
            judged_by=self.judge.facts,
        )

    @property
    def judge(self) -> TranslationJudge:
        return TranslationJudge(self.bleu_tokenizer)

    def head_config(self, target: Nothing) -> Mapping[str, Any]:
        named = zip(LANGUAGES.values(), self.languages or (), strict=False)
        return {**super().head_config(target), **dict(named)}

    @classmethod
    def flags_of(cls, config: PreTrainedConfig) -> dict[str, Any]:
        saved = config.to_dict()
        named = {flag: saved[entry] for flag, entry in LANGUAGES.items() if saved.get(entry) is not None}
        return {**super().flags_of(config), **named}
