"""The card of the bundled GPT-2, rendered from its training.json."""

from typing import Any

CARD = """\
---
license: apache-2.0
language: en
library_name: transformers
pipeline_tag: text-generation
tags:
- gpt2
- hfkit
---

# sample-gpt2

A tiny GPT-2 ({parameters:,} parameters) that hfkit trained from scratch, so that its recipes for decoders run without a
download (`--checkpoint sample-gpt2`). It is made for trying the kit and for nothing else.

- {blocks} blocks, hidden size {hidden}, {heads} heads, {positions} positions, tied embeddings, stored in fp16.
- Byte-level BPE with {vocabulary:,} tokens; `<|endoftext|>` begins and ends a text, and pads.
- It loads without hfkit; give `dtype=torch.float32`, because small learning rates round to no change in fp16:

```python
AutoModelForSequenceClassification.from_pretrained("hfkit/samples/gpt2", num_labels=2, dtype=torch.float32)
```

## How good it is

On {texts:,} held-out texts ({held_out:.0%} of each source, never trained on), measured with the stored weights. The
unigram baseline knows how often each token occurs in the training text and nothing else.

| validation text | tokens | perplexity | unigram | bits per byte | unigram |
|---|---|---|---|---|---|
{scores}

Perplexity is per token of this tokenizer, so compare it with nothing but the baseline beside it. Sentences of one
source resemble each other, and the held-out ones are drawn from the same sources.

## What it is not good for

- The text it generates is not meaningful: it looks like English for a few words, and states nothing.
- It is hundreds of times smaller than the smallest GPT-2 that people use, so a result on it says whether a run works,
  not what GPT-2 can do. Expect little or no gain over the same network from scratch, least of all on few rows.
- Nothing was done against bias, insults or outdated views beyond the choice of sources. What they hold, it may repeat.

## What it was trained on

Only the training split of each; no text is stored here, and none comes from a set of reviews, opinions or intents.

| source | what and whose | licence | texts | characters |
|---|---|---|---|---|
{sources}

## How it was trained

{tokens_trained_on:,} tokens ({rounds:.1f} times the training text) in {steps:,} steps of {batch_tokens:,}, with
{optimizer} and a peak learning rate of {peak}, no dropout, seed {seed}. It took {seconds:,.0f} seconds on a CPU
(threads: {threads}) with Python {python}, torch {torch}, transformers {transformers} and tokenizers {tokenizers}.
Paths are shortened to the last folder:

```bash
{command}
```

This card is rendered from training.json by the same program.

## Licence

The weights are Apache-2.0, like the code. They were made from the sources above, under the licences named there, and
the credit to their authors belongs to them.
"""


def render_card(record: dict[str, Any]) -> str:
    """The model card, from the contents of training.json alone."""

    def score_row(name: str, scores: dict[str, float]) -> str:
        return (
            f"| {name} | {scores['tokens']:,} | {scores['perplexity']} | {scores['unigram_perplexity']} "
            f"| {scores['bits_per_byte']} | {scores['unigram_bits_per_byte']} |"
        )

    settings = record["settings"]
    return CARD.format(
        **settings,
        **{key: record[key] for key in ("parameters", "tokens_trained_on", "seconds", "threads", "command")},
        **record["versions"],
        texts=record["validation"]["texts"],
        scores="\n".join(
            [score_row(source["name"].split("/")[0], source["validation"]) for source in record["sources"]]
            + [score_row("all", record["validation"])]
        ),
        sources="\n".join(
            f"| {s['name']} | {s['credit']} | {s['licence']} | {s['texts']:,} | {s['characters']:,} |"
            for s in record["sources"]
        ),
        rounds=record["tokens_trained_on"] / record["tokens_in_training_text"],
        batch_tokens=settings["batch"] * settings["positions"],
        optimizer=record["optimizer"]["name"],
        peak=record["optimizer"]["peak_learning_rate"],
    )
