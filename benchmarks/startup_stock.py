"""The stock peer of `benchmarks/startup.py`: what transformers' example `run_ner.py` does until training begins.

The same imports, flags by HfArgumentParser, rows by `load_dataset`, tokens by `map` (whose cache it keeps, as the
example does), the stock Trainer, and a compute_metrics that scores by seqeval. One thing is spared: the example gets
seqeval's wrapper by `evaluate.load`, which needs a network; here `evaluate` and `seqeval` are imported and nothing is
loaded, so the peer is a little faster than the example.
"""

import logging
import sys
from dataclasses import dataclass, field

import datasets
import evaluate  # noqa: F401 - the example's import; see above
import numpy as np
import transformers
from datasets import load_dataset
from seqeval.metrics import accuracy_score, classification_report
from transformers import (
    AutoConfig,
    AutoModelForTokenClassification,
    AutoTokenizer,
    DataCollatorForTokenClassification,
    HfArgumentParser,
    Trainer,
    TrainingArguments,
    set_seed,
)


@dataclass
class DataArguments:
    """Where the rows and the weights are."""

    model_name_or_path: str = field(metadata={"help": "folder of the checkpoint"})
    dataset: str = field(metadata={"help": "folder with train, validation and test parquet"})


def main():
    data_args, args = HfArgumentParser((DataArguments, TrainingArguments)).parse_args_into_dataclasses()
    logging.basicConfig(handlers=[logging.StreamHandler(sys.stdout)])
    level = args.get_process_log_level()
    datasets.utils.logging.set_verbosity(level)
    transformers.utils.logging.set_verbosity(level)
    set_seed(args.seed)
    splits = ("train", "validation", "test")
    raw = load_dataset("parquet", data_files={split: f"{data_args.dataset}/{split}.parquet" for split in splits})
    names = raw["train"].features["ner_tags"].feature.names

    config = AutoConfig.from_pretrained(data_args.model_name_or_path, num_labels=len(names), finetuning_task="ner")
    tokenizer = AutoTokenizer.from_pretrained(data_args.model_name_or_path)
    model = AutoModelForTokenClassification.from_pretrained(data_args.model_name_or_path, config=config)
    model.config.id2label = dict(enumerate(names))
    model.config.label2id = {name: i for i, name in enumerate(names)}

    def encode(rows):
        encoded = tokenizer(rows["tokens"], truncation=True, is_split_into_words=True)
        encoded["labels"] = []
        for row, tags in enumerate(rows["ner_tags"]):
            before, labels = None, []
            for word in encoded.word_ids(batch_index=row):
                labels.append(-100 if word is None or word == before else tags[word])
                before = word
            encoded["labels"].append(labels)
        return encoded

    encoded = {}
    for split in splits:
        with args.main_process_first(desc=f"{split} dataset map pre-processing"):
            encoded[split] = raw[split].map(encode, batched=True, desc=f"Running tokenizer on {split} dataset")

    def compute_metrics(output):
        best, kept = np.argmax(output.predictions, axis=2), output.label_ids != -100
        predicted, gold = (
            [[names[label] for label in row[own]] for row, own in zip(ids, kept, strict=True)]
            for ids in (best, output.label_ids)
        )
        report = classification_report(gold, predicted, output_dict=True)
        return {"f1": report["micro avg"]["f1-score"], "accuracy": accuracy_score(gold, predicted)}

    trainer = Trainer(
        model=model,
        args=args,
        train_dataset=encoded["train"],
        eval_dataset=encoded["validation"],
        processing_class=tokenizer,
        data_collator=DataCollatorForTokenClassification(tokenizer),
        compute_metrics=compute_metrics,
    )
    trainer.train()
    trainer.predict(encoded["test"])


if __name__ == "__main__":
    main()
