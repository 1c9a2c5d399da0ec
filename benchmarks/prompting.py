r"""What prompting costs: one shared beginning against every answer as a whole prompt, and against lm_eval.

    python -m benchmarks.prompting --data path/to/datasets --weights path/to/checkpoints --rounds 3

All score the same prompts with the same model, one after the other in one process, in rounds. `whole` is hfkit's own
plain way (sorted, padded, logits of the answers alone); `lm_eval` is its HFLM.loglikelihood, left out where it is not
installed. Each pays for its own tokenising. CPU seconds are those of the process, with one thread.

The scores say nothing of prompting: stories260k has read nothing but children's stories, and the other model has random
weights. What is measured is cost, and that all come to the same log-likelihoods.
"""

import argparse
import importlib.util
import json
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

from hfkit.baselines.prompting.demonstrations import Draw
from hfkit.baselines.prompting.label_texts import label_texts
from hfkit.baselines.prompting.language_models import load_language_model
from hfkit.baselines.prompting.layout import Layout
from hfkit.baselines.prompting.scoring import Scorer, shared_scores, whole_scores
from hfkit.contract.abilities import Prompt
from hfkit.runtime.machine import command, environment
from hfkit.tasks import TextClassification

RESULT = Path(__file__).parent / "results" / "prompting.json"
SEED = 0
VOCABULARY = 8000  # of the tokenizer beside the random weights
SHAPE = {"hidden_size": 256, "intermediate_size": 688, "num_hidden_layers": 8, "num_attention_heads": 8}
# Corpus, model, demonstrations, test rows, and whether the instruction names the labels: those of banking77 do not fit
# into the 512 tokens that stories260k reads.
CELLS = (
    ("uci_sentiment_sentences/yelp", "stories260k-llama", 0, 200, True),
    ("uci_sentiment_sentences/yelp", "stories260k-llama", 4, 200, True),
    ("banking77", "stories260k-llama", 0, 30, False),
    ("banking77", "stories260k-llama", 3, 30, False),
    ("uci_sentiment_sentences/yelp", "random Llama", 8, 60, True),
    ("banking77", "random Llama", 0, 4, True),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--weights", type=Path, default=Path("../shared/weights"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cells", type=int, nargs="+", default=range(len(CELLS)), help="which of CELLS, by number")
    parser.add_argument("--result", type=Path, default=RESULT)
    args = parser.parse_args()
    torch.set_num_threads(1)
    ran_on = environment()  # now: the checkout may have moved on when the last round ends
    cells = []
    for number in args.cells:
        cells.append(measured_cell(*CELLS[number], args))
        print(json.dumps({key: cells[-1][key] for key in ("corpus", "model", "demonstrations", "ratios")}), flush=True)
    result = {
        "schema": "hfkit.prompting/1",
        "command": command(),
        "seed": SEED,
        "threads": 1,
        "random_llama": {**SHAPE, "vocab_size": VOCABULARY},
        "lm_eval": version("lm_eval") if has_lm_eval() else "not installed",
        "environment": ran_on,
        "cells": cells,
    }
    args.result.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def has_lm_eval() -> bool:
    return importlib.util.find_spec("lm_eval") is not None


def measured_cell(
    corpus: str, name: str, shots: int, count: int, named: bool, args: argparse.Namespace
) -> dict[str, Any]:
    task = TextClassification(dataset=str(args.data / corpus), validation_share=0.1 if corpus == "banking77" else 0.0)
    dataset = task.load()
    labels = dataset.labels
    texts = dict(zip(labels, label_texts(labels, {}), strict=True))
    if name == "random Llama":
        model, tokenizer = random_llama(dataset["train"]["text"])
    else:
        model, tokenizer = load_language_model(str(args.weights / name))
    shown = [dataset["train"][i] for i in Draw("random", shots).picks(0, 1, dataset["train"]["label"], None)[0]]
    rows = dataset["test"].select(np.linspace(0, len(dataset["test"]) - 1, count).astype(int))
    prompts = [task.prompt(row, texts, shown) for row in rows]
    if not named:
        prompts = [prompt._replace(instruction="Choose the label that fits the text.") for prompt in prompts]
    ways: dict[str, Callable[[], list[np.ndarray]]] = {
        "hfkit": lambda: ours(model, tokenizer, prompts),
        "whole": lambda: whole(model, tokenizer, prompts),
    }
    if has_lm_eval():
        peer = lm_eval_model(model, tokenizer)
        ways["lm_eval"] = lambda: lm_eval_scores(peer, Layout(tokenizer), prompts)
    shared_scores(model, Layout(tokenizer).tokenise([Layout(tokenizer).render(prompts[0])]))  # warm
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    scores: dict[str, np.ndarray] = {}
    for _ in range(args.rounds):
        for way, run in ways.items():
            began = time.process_time()
            found = run()
            seconds[way].append(time.process_time() - began)
            scores[way] = np.concatenate(found)
    requests = Layout(tokenizer).tokenise([Layout(tokenizer).render(prompt) for prompt in prompts])
    return {
        "corpus": corpus,
        "model": name,
        "demonstrations": shots,
        "rows": count,
        "labels": len(labels),
        "labels_named_in_instruction": named,
        "pairs": len(scores["hfkit"]),
        "median_prompt_tokens": median(len(request.context) for request in requests),
        "median_answer_tokens": median(len(answer) for answer in requests[0].answers),
        "cpu_seconds": seconds,
        "ratios": {
            way: {
                "median": median(theirs / mine for theirs, mine in zip(seconds[way], seconds["hfkit"], strict=True)),
                "rounds": [theirs / mine for theirs, mine in zip(seconds[way], seconds["hfkit"], strict=True)],
            }
            for way in ways
            if way != "hfkit"
        },
        "largest_difference": {
            way: float(np.abs(scores[way] - scores["hfkit"]).max()) for way in ways if way != "hfkit"
        },
        "same_best_answer": {
            way: float(np.mean(best(scores[way], len(labels)) == best(scores["hfkit"], len(labels))))
            for way in ways
            if way != "hfkit"
        },
    }


def best(scores: np.ndarray, labels: int) -> np.ndarray:
    return scores.reshape(-1, labels).argmax(-1)


def ours(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, prompts: list[Prompt]) -> list[np.ndarray]:
    """As the baseline does it, the check against whole prompts included."""
    layout = Layout(tokenizer)
    return Scorer(model).score(layout.tokenise([layout.render(prompt) for prompt in prompts]))


def whole(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, prompts: list[Prompt]) -> list[np.ndarray]:
    layout = Layout(tokenizer)
    return whole_scores(model, [layout.tokenise_fully(layout.render(prompt)) for prompt in prompts])


def lm_eval_model(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> Any:
    from lm_eval.models.huggingface import HFLM

    return HFLM(
        pretrained=model,
        tokenizer=tokenizer,
        batch_size=16,
        add_bos_token=bool(Layout(tokenizer).opening),
        device="cpu",
    )


def lm_eval_scores(peer: Any, layout: Layout, prompts: list[Prompt]) -> list[np.ndarray]:
    """Sums of its log-likelihoods over the tokens that each answer has."""
    from lm_eval.api.instance import Instance

    rendered = [layout.render(prompt) for prompt in prompts]
    pairs = [(text.context, answer) for text in rendered for answer in text.answers]
    found = peer.loglikelihood(
        [Instance("loglikelihood", {}, pair, number) for number, pair in enumerate(pairs)], disable_tqdm=True
    )
    lengths = [len(answer) for answer in layout.tokenise_fully(rendered[0]).answers]
    sums = np.array([value for value, _ in found]).reshape(len(prompts), -1)
    return list(sums / lengths)


def random_llama(texts: list[str]) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """A Llama of a realistic shape with random weights, and a tokenizer of byte pairs that knows the texts."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=VOCABULARY,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            special_tokens=["<end>"],
            show_progress=False,
        ),
    )
    torch.manual_seed(SEED)
    config = LlamaConfig(
        vocab_size=VOCABULARY, max_position_embeddings=2048, bos_token_id=0, eos_token_id=0, pad_token_id=0, **SHAPE
    )
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>", pad_token="<end>")
    return LlamaForCausalLM(config).eval(), fast


if __name__ == "__main__":
    main()
