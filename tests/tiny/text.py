"""Tiny random-weight checkpoints and in-memory data: everything a test needs, without a network."""

import random
from pathlib import Path

import torch
from datasets import Dataset, DatasetDict, Features, List, Value
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    BertConfig,
    BertModel,
    GPT2Config,
    GPT2Model,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

PEOPLE, PLACES = ["anna", "boris", "carla", "dmitri", "elena"], ["paris", "lima", "oslo", "delhi", "cairo"]
VERBS, NOUNS = ["saw", "met", "left", "likes", "painted"], ["rain", "bread", "music", "snow", "the sea"]


def wordpiece() -> PreTrainedTokenizerFast:
    """A WordPiece tokenizer that knows the tiny corpus and every ASCII character; all else is [UNK]."""
    words = sorted({word for phrase in PEOPLE + PLACES + VERBS + NOUNS for word in phrase.split()} | {"in", "and", "."})
    letters = [chr(c) for c in range(33, 127)]
    vocabulary = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *words,
        *letters,
        *(f"##{letter}" for letter in letters),
    ]
    tokenizer = Tokenizer(
        models.WordPiece({word: i for i, word in enumerate(dict.fromkeys(vocabulary))}, unk_token="[UNK]")
    )
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=64,
    )


def byte_bpe() -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer trained on the tiny corpus, which like GPT-2's adds no special tokens by itself."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<end>"],
        show_progress=False,
    )
    tokenizer.train_from_iterator([" ".join(row["tokens"]) for row in ner_rows(50, 0)], trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>", model_max_length=64)


def unigram() -> PreTrainedTokenizerFast:
    """A Unigram tokenizer with SentencePiece's usual normalisation, which drops and replaces characters."""
    pieces = [("<pad>", 0.0), ("<unk>", 0.0), ("</s>", 0.0), ("\u2581", -2.0)]
    words = sorted({word for row in ner_rows(50, 0) for word in row["tokens"]})
    pieces += [(f"\u2581{word}", -3.0) for word in words] + [(chr(c), -6.0) for c in range(33, 127)]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=1, byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC()])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 2)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>", eos_token="</s>", model_max_length=64
    )


def bert(folder: Path, *, layers: int = 4, hidden: int = 32) -> str:
    """A random BERT encoder with its tokenizer, saved to `folder`; the same weights on every call."""
    tokenizer = wordpiece()
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=2 * hidden,
        max_position_embeddings=64,
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def blind_bert(folder: Path) -> str:
    """A BERT encoder that tells no two words apart, until its embeddings learn."""
    model = BertModel.from_pretrained(bert(folder), add_pooling_layer=False)
    for table in (model.embeddings.word_embeddings, model.embeddings.position_embeddings):
        table.weight.data[:] = table.weight.data[7]
    model.save_pretrained(folder)
    return str(folder)


def ner_rows(rows: int, seed: int) -> list[dict]:
    """Sentences with a rule that can be learnt: names are PER, cities are LOC, all else is O."""
    draw = random.Random(seed)
    sentences = []
    for _ in range(rows):
        words, tags = [draw.choice(PEOPLE)], ["B-PER"]
        if draw.random() < 0.3:
            words, tags = words + [draw.choice(PEOPLE)], tags + ["I-PER"]
        words, tags = words + [draw.choice(VERBS)], tags + ["O"]
        for noun in draw.choice(NOUNS).split():
            words, tags = words + [noun], tags + ["O"]
        if draw.random() < 0.7:
            words, tags = words + ["in", draw.choice(PLACES)], tags + ["O", "B-LOC"]
        sentences.append({"tokens": [*words, "."], "tags": [*tags, "O"]})
    return sentences


def ner_splits(train: int = 96, validation: int = 24, test: int = 24) -> DatasetDict:
    """The tiny NER corpus as a DatasetDict of `tokens` and string `tags`."""
    sizes = {"train": train, "validation": validation, "test": test}
    return DatasetDict({split: Dataset.from_list(ner_rows(n, seed)) for seed, (split, n) in enumerate(sizes.items())})


def ner_folder(folder: Path, **sizes: int) -> str:
    """The tiny NER corpus as parquet files, one per split, in `folder`."""
    for split, rows in ner_splits(**sizes).items():
        rows.to_parquet(str(folder / f"{split}.parquet"))
    return str(folder)


GOOD, BAD = ["likes", "painted"], ["left", "saw"]


def reviews(rows: int, seed: int) -> list[dict]:
    """Texts with a rule that can be learnt: some verbs are positive, the others negative."""
    draw = random.Random(seed)
    found = []
    for _ in range(rows):
        label = draw.choice(["negative", "positive"])
        verb = draw.choice(GOOD if label == "positive" else BAD)
        found.append({"text": f"{draw.choice(PEOPLE)} {verb} {draw.choice(NOUNS)}.", "label": label})
    return found


def review_splits(train: int = 96, validation: int = 24, test: int = 24) -> DatasetDict:
    """The tiny reviews as a DatasetDict of `text` and `label`, both strings."""
    sizes = {"train": train, "validation": validation, "test": test}
    return DatasetDict({split: Dataset.from_list(reviews(n, seed)) for seed, (split, n) in enumerate(sizes.items())})


def folder_of(splits: DatasetDict, folder: Path) -> str:
    """Splits as parquet files in `folder`."""
    folder.mkdir(exist_ok=True)
    for split, rows in splits.items():
        rows.to_parquet(str(folder / f"{split}.parquet"))
    return str(folder)


def gpt2(folder: Path, *, layers: int = 3, hidden: int = 32) -> str:
    """A random GPT-2 decoder with its tokenizer, neither of which names a token to pad with."""
    tokenizer = byte_bpe()
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_embd=hidden,
        n_layer=layers,
        n_head=2,
        n_positions=48,
        bos_token_id=0,
        eos_token_id=0,
    )
    GPT2Model(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def llama_gguf(file: Path) -> LlamaForCausalLM:
    """A random Llama, written as a GGUF file in floats with the pieces of a Unigram tokenizer."""
    from gguf import GGUFWriter, TokenType

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=64,
        rms_norm_eps=1e-6,
        tie_word_embeddings=False,
    )
    model = LlamaForCausalLM(config).eval()
    file.parent.mkdir(exist_ok=True)
    writer = GGUFWriter(file, "llama")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(config.hidden_size // config.num_attention_heads)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("llama")
    letters = [chr(c) for c in range(97, 97 + 26)]
    pieces = ["<unk>", "<s>", "</s>", *letters, *(f"\u2581{letter}" for letter in letters)]
    pieces += [f"<0x{number:02X}>" for number in range(config.vocab_size - len(pieces))]
    writer.add_token_list(pieces)
    writer.add_token_scores([-float(number) for number in range(len(pieces))])
    kinds = [TokenType.UNKNOWN, TokenType.CONTROL, TokenType.CONTROL]
    writer.add_token_types(kinds + [TokenType.NORMAL] * (len(pieces) - len(kinds)))
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    names = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
    for layer in range(config.num_hidden_layers):
        of_layer = {
            "self_attn.q_proj": "attn_q",
            "self_attn.k_proj": "attn_k",
            "self_attn.v_proj": "attn_v",
            "self_attn.o_proj": "attn_output",
            "mlp.gate_proj": "ffn_gate",
            "mlp.up_proj": "ffn_up",
            "mlp.down_proj": "ffn_down",
            "input_layernorm": "attn_norm",
            "post_attention_layernorm": "ffn_norm",
        }
        names |= {f"model.layers.{layer}.{ours}": f"blk.{layer}.{theirs}" for ours, theirs in of_layer.items()}
    heads = config.num_attention_heads
    for name, weight in model.state_dict().items():
        values = weight.numpy()
        if ".q_proj" in name or ".k_proj" in name:  # llama.cpp pairs the rotated halves side by side
            values = values.reshape(heads, 2, -1, values.shape[1]).swapaxes(1, 2).reshape(values.shape)
        writer.add_tensor(f"{names[name.removesuffix('.weight')]}.weight", values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return model


def questions(rows: int, seed: int, *, unanswerable: float = 0.0, sentences: int = 2) -> list[dict]:
    """Questions for the place in a passage, or for the first person, with a rule that can be learnt: places and people
    are few. A passage without a place does not answer the first.
    """
    draw, found = random.Random(seed), []
    while len(found) < rows:
        told = ner_rows(draw.randint(1, sentences), draw.randrange(10**6))
        words = [word for row in told for word in row["tokens"]]
        context = " ".join(words)
        kind = draw.choice(["in", "and"])  # words that the tiny tokenizers know
        wanted = [word for word in words if word in (PLACES if kind == "in" else PEOPLE)]
        if not wanted and draw.random() >= unanswerable:
            continue
        answers = {"text": wanted[:1], "answer_start": [context.index(word) for word in wanted[:1]]}
        found.append({"question": f"{kind} ?", "context": context, "answers": answers})
    return found


def question_splits(train: int = 96, validation: int = 24, test: int = 24, **flags: float) -> DatasetDict:
    """The tiny questions as a DatasetDict of `question`, `context` and `answers`."""
    sizes = {"train": train, "validation": validation, "test": test}
    answers = {"text": List(Value("string")), "answer_start": List(Value("int32"))}
    features = Features({"question": Value("string"), "context": Value("string"), "answers": answers})
    return DatasetDict(
        {
            split: Dataset.from_list(questions(count, seed, **flags), features=features)
            for seed, (split, count) in enumerate(sizes.items())
        }
    )


def choices(rows: int, seed: int) -> list[dict]:
    """Questions with two to four options of which one is right, by a rule that can be learnt: it is a place."""
    draw, found = random.Random(seed), []
    for _ in range(rows):
        options = [draw.choice(PLACES), *draw.sample(NOUNS, draw.randint(1, 3))]
        draw.shuffle(options)
        right = next(place for place, option in enumerate(options) if option in PLACES)
        question = f"{draw.choice(PEOPLE)} left in"
        found.append({"question": question, "choices": options, "label": right})
    return found


def choice_splits(train: int = 96, validation: int = 24, test: int = 24) -> DatasetDict:
    """The tiny choices as a DatasetDict of `question`, `choices` and `label`."""
    sizes = {"train": train, "validation": validation, "test": test}
    return DatasetDict({split: Dataset.from_list(choices(n, seed)) for seed, (split, n) in enumerate(sizes.items())})
