"""T8: inputs that nobody meant: one line with value, rule and fix, exit code 2, in bounded time, and nothing written.

Kinds (no file at all, odd bytes, odd JSON, odd numbers) times places (every file and flag that a user names).
"""

import json
import math
import os
import random
import shutil
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from benchmarks.reliability import harness
from benchmarks.reliability.cases import Case, Cases
from benchmarks.reliability.harness import flags, list_tree, make_empty, prepare
from benchmarks.reliability.powers import give_up_powers

LIMIT = 60  # seconds for a case, of which the slowest takes two alone on a core
DEEP_LIST, DEEP_OBJECT = "[" * 5000 + "]" * 5000, '{"a":' * 5000 + "1" + "}" * 5000
SUFFIXES = (
    ".jsonl",
    ".json",
    ".csv",
    ".tsv",
    ".txt",
    ".parquet",
    ".arrow",
    ".xlsx",
    ".zip",
    ".tar",
    ".fasta",
    ".conll",
)


@dataclass(frozen=True)
class Input:
    """One bad input."""

    name: str
    argv: Callable[[Path], list[str]]  # of the case's own folder, which is the working folder too
    make: Callable[[Path], object] = lambda place: None
    harmless: bool = False  # it may also be accepted: it means one thing, or nothing
    stdin: str = ""


# What lies there


def bind_socket(path: Path) -> None:
    before = os.getcwd()
    os.chdir(path.parent)  # the name of a socket is short
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(path.name)
    os.chdir(before)


def forbid(path: Path) -> None:
    path.write_text("".join(f"anna likes rain {number}\n" for number in range(20)))
    path.chmod(0)


NO_FILES: dict[str, Callable[[Path], object]] = {
    "folder": Path.mkdir,
    "pipe": os.mkfifo,
    "socket": bind_socket,
    "dangling link": lambda path: path.symlink_to("nowhere"),
    "loop of links": lambda path: path.symlink_to(path.name),
    "device": lambda path: path.symlink_to("/dev/zero"),
    "unreadable": forbid,
}
CONTENTS: dict[str, bytes] = {
    "empty": b"",
    "blank": b"\n\n  \n",
    "list": b"[1, 2]",
    "number": b"5",
    "string": b'"x"',
    "null": b"null",
    "deep list": DEEP_LIST.encode(),
    "deep object": DEEP_OBJECT.encode(),
    "digits": b'{"text": ' + b"9" * 5000 + b"}",
    "no UTF-8": b'{"text": "\xff\xfe\x81\x82 \xc3("}\n',
    "NUL bytes": b"\0" * 200,
    "half": b'{"text": "abc',
}
YAML = {
    "400 digits": b"seed: " + b"9" * 400,
    "5000 digits": b"seed: " + b"9" * 5000,
    "tab": b"\tseed: 1",
    "nan": b"learning_rate: .nan",
    "key twice": b"seed: 1\nseed: 2",
    "date that is none": b"seed: 2026-99-99",
    "tag of Python": b"seed: !!python/object/apply:os.system [ls]",
    "aliases of aliases": b"a: &a [x,x,x,x,x,x,x,x,x]\n"
    + b"".join(f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]\n".encode() for i in range(9)),
}


def run(work: Path) -> list[Case]:
    prepare(work)
    cases, place, saved = Cases("T8", work), work / "T8", work / "T8-saved"
    for bad in list_inputs(work, saved):
        if not (saved / "report.json").is_file():
            harness.run(train(work, "--output_dir", str(make_empty(saved))), work / "T8.txt", LIMIT)
        if not cases.has(bad.name):
            cases.add(bad.name, *judge(bad, make_empty(place), work))
            os.system(f"chmod -R u+rwX '{place}'")
    shutil.rmtree(place, ignore_errors=True)
    return cases


def judge(bad: Input, place: Path, work: Path) -> tuple[bool, str]:
    """Whether a bad input ends as it has to, and how it ends."""
    bad.make(place)
    before = list_tree(place)
    job = harness.run(
        bad.argv(place), work / "T8.txt", LIMIT, cwd=place, stdin=bad.stdin, before=lambda: give_up_powers(limits=True)
    )
    if bad.harmless and job.code == 0 and not job.has_traceback:
        return True, "accepted: it is harmless"
    # A lock on a folder that is there already is no result.
    changed = (name for name, size in list_tree(place).items() if before.get(name) != size)
    written = [name for name in changed if not name.endswith(".hfkit.lock")]
    lines = sum(line.startswith("error:") for line in job.text.splitlines())
    good = job.code == 2 and lines == 1 and not job.has_traceback and not written
    return good, job.verdict + (f"; written: {', '.join(written[:3])}" if written else "")


def train(work: Path, *more: str, dataset: Path | None = None, checkpoint: Path | None = None) -> list[str]:
    """A training of one step on reviews."""
    given = [word for name, value in (("dataset", dataset), ("checkpoint", checkpoint)) if value is not None
             for word in (f"--{name}", str(value))]  # fmt: skip
    return flags("reviews", work, "--output_dir", "out", "--max_steps", "1", "--baseline", "majority", *given, *more)


def list_inputs(work: Path, saved: Path) -> Iterator[Input]:
    yield from list_datasets(work)
    yield from list_checkpoints(work)
    yield from list_records(work, saved)
    yield from list_commands(work, saved)
    yield from list_configurations(work)
    yield from list_tokenizers(work)
    yield from list_rows(work)
    yield from list_flags(work)


# Datasets


def list_datasets(work: Path) -> Iterator[Input]:
    for suffix in SUFFIXES:
        for kind, make in NO_FILES.items():
            if kind != "folder":
                yield Input(
                    f"dataset x{suffix}: {kind}",
                    lambda place, suffix=suffix: read_as(work, place / f"x{suffix}"),
                    lambda place, suffix=suffix, make=make: make(place / f"x{suffix}"),
                )
        for kind, content in CONTENTS.items():
            yield Input(
                f"dataset x{suffix}: {kind}",
                lambda place, suffix=suffix: read_as(work, place / f"x{suffix}"),
                lambda place, suffix=suffix, content=content: (place / f"x{suffix}").write_bytes(content),
            )
    for kind, make in NO_FILES.items():
        for suffix in (".jsonl", ".csv", ".parquet"):
            yield Input(
                f"folder with train{suffix}: {kind}",
                lambda place: train(work, dataset=place / "rows"),
                lambda place, suffix=suffix, make=make: replace_train(work, place / "rows", suffix, make),
            )


def read_as(work: Path, path: Path) -> list[str]:
    """A training on a file: of words if its name says so, otherwise of texts."""
    if path.suffix == ".conll":
        more = ["--output_dir", "out", "--max_steps", "1", "--dataset", str(path)]
        return flags("ner", work, *more)
    return train(work, dataset=path)


def replace_train(work: Path, folder: Path, suffix: str, make: Callable[[Path], object]) -> None:
    shutil.copytree(work / "material/reviews", folder)
    (folder / "train.jsonl").unlink()
    make(folder / f"train{suffix}")


# Checkpoints


def list_checkpoints(work: Path) -> Iterator[Input]:
    needed = ("config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors")
    further = ("special_tokens_map.json", "generation_config.json", "added_tokens.json", "chat_template.jinja")
    for name in (*needed, *further):
        yield from list_odd_files(
            f"checkpoint's {name}",
            lambda place: train(work, checkpoint=place / "model"),
            lambda place, make, name=name: change_checkpoint(work / "material/bert", place / "model", name, make),
            harmless=name == "chat_template.jinja",  # texts are classified without it
        )
    yield from list_odd_files(
        "pictures' preprocessor_config.json",
        lambda place: flags("images", work, "--output_dir", "out", "--checkpoint", str(place / "model")),
        lambda place, make: change_checkpoint(
            work / "material/resnet", place / "model", "preprocessor_config.json", make
        ),
    )
    for value in (math.nan, math.inf):
        for weight in ("embeddings.word_embeddings.weight", "encoder.layer.0.attention.self.query.weight"):
            yield Input(
                f"a weight is {value}: {weight}",
                lambda place: train(work, checkpoint=place / "model"),
                lambda place, weight=weight, value=value: change_weight(
                    work / "material/bert", place / "model", weight, value
                ),
            )


def list_odd_files(
    name: str,
    argv: Callable[[Path], list[str]],
    put: Callable[[Path, Callable[[Path], object]], object],
    harmless: bool = False,
) -> Iterator[Input]:
    """A file that is none, and one of each odd content.

    Args:
        put: puts the file into the case's folder, by a function that makes it.
    """
    for kind, make in NO_FILES.items():
        yield Input(f"{name}: {kind}", argv, lambda place, make=make: put(place, make), harmless)
    for kind, content in CONTENTS.items():
        yield Input(
            f"{name}: {kind}",
            argv,
            lambda place, content=content: put(place, lambda path: path.write_bytes(content)),
            harmless,
        )


def change_checkpoint(checkpoint: Path, folder: Path, name: str, make: Callable[[Path], object]) -> None:
    """Copy a checkpoint, with one of its files made anew."""
    shutil.copytree(checkpoint, folder, ignore=shutil.ignore_patterns("checkpoint-*"))
    (folder / name).unlink(missing_ok=True)
    make(folder / name)


def change_weight(checkpoint: Path, folder: Path, name: str, value: float) -> None:
    def write(path: Path) -> None:
        weights = load_file(checkpoint / path.name)
        weights[name if name in weights else next(iter(weights))].view(-1)[3] = value
        save_file(weights, path, metadata={"format": "pt"})

    change_checkpoint(checkpoint, folder, "model.safetensors", write)


# Records


def list_records(work: Path, saved: Path) -> Iterator[Input]:
    for flag in ("--config", "--split_file"):
        one = work / "material/reviews/train.jsonl"
        yield from (
            bad
            for bad in list_odd_files(
                flag,
                lambda place, flag=flag, one=one: train(work, flag, str(place / "given"), dataset=one),
                lambda place, make: make(place / "given"),
            )
            if (flag, bad.name) not in {("--config", f"--config: {kind}") for kind in ("empty", "blank", "null")}
        )
    for kind, content in YAML.items():
        yield Input(
            f"--config: {kind}",
            lambda place: train(work, "--config", str(place / "given")),
            lambda place, content=content: (place / "given").write_bytes(content),
        )
    yield from list_odd_files(
        "hfkit_run.json",
        lambda place: train(work, "--resume_from_checkpoint", "auto"),
        lambda place, make: ((place / "out").mkdir(), make(place / "out/hfkit_run.json")),
    )
    commands = {
        "predict": lambda place: ["hfkit", "predict", str(place / "model"), "--text", "a b"],
        "report": lambda place: ["hfkit", "report", str(place / "model")],
        "card write": lambda place: ["hfkit", "card", "write", str(place / "model")],
        "evaluate": lambda place: [
            *("hfkit", "evaluate", str(place / "model"), "--dataset", str(work / "material/reviews")),
            *("--output_dir", str(place / "again")),
        ],
    }
    for command, argv in commands.items():
        yield from list_odd_files(
            f"{command}, report.json",
            argv,
            lambda place, make: change_checkpoint(saved, place / "model", "report.json", make),
        )
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        yield from list_odd_files(
            f"predict, {name}",
            commands["predict"],
            lambda place, make, name=name: change_checkpoint(saved, place / "model", name, make),
        )
    yield Input(
        "predict, a weight is nan",
        commands["predict"],
        lambda place: change_weight(saved, place / "model", "", math.nan),
    )


# Commands


def list_commands(work: Path, saved: Path) -> Iterator[Input]:
    def predict(*more: str) -> Callable[[Path], list[str]]:
        return lambda place: ["hfkit", "predict", str(saved), *more]

    for suffix in (".jsonl", ".csv", ".parquet", ".txt"):
        yield from (
            bad
            for bad in list_odd_files(
                f"predict, input{suffix}",
                lambda place, suffix=suffix: ["hfkit", "predict", str(saved), str(place / f"in{suffix}")],
                lambda place, make, suffix=suffix: make(place / f"in{suffix}"),
                harmless=True,  # no rows have no answers, and a text may hold anything
            )
        )
    for kind, make in NO_FILES.items():
        yield Input(
            f"predict, --output: {kind}",
            lambda place: ["hfkit", "predict", str(saved), "--text", "anna", "-o", str(place / "out.jsonl")],
            lambda place, make=make: make(place / "out.jsonl"),
            harmless=kind in ("dangling link", "loop of links", "unreadable"),  # it is replaced
        )
    for output in ("", "/dev/null/x", "x" * 300, ".", "/proc/x", "/dev/full"):
        yield Input(f"predict, --output '{output:.20}'", predict("--text", "anna", "-o", output))
    for encoding in ("klingon", "base64", "", "rot13"):
        yield Input(f"predict, --encoding '{encoding}'", predict("-", "--encoding", encoding), stdin="anna\n")
    yield Input("predict, no input", predict())
    yield Input("predict, - twice", predict("-", "-"), stdin="anna\n")
    yield Input("predict, no model", lambda place: ["hfkit", "predict", str(place), "--text", "anna"])
    yield Input("predict, a model's name of NUL", lambda place: ["hfkit", "predict", "a\0b", "--text", "anna"])
    for words in (
        ["--seeds", "-1"], ["--seeds", "a"], ["--seeds", str(2**40)], ["--strategies", "nosuch"], ["--jobs", "0"],
        ["--recipe", "nosuch.py"], ["--recipe", "."], ["--recipe", "/dev/null"], ["--budget_minutes", "nan"],
    ):  # fmt: skip
        recipe = [] if "--recipe" in words else ["--recipe", harness.REVIEWS]
        yield Input(f"compare {' '.join(words)}", lambda place, words=words, recipe=recipe: [
            "hfkit", "compare", *recipe, "--compare_dir", str(place / "out"), *words])  # fmt: skip
    for words in (
        ["plan", "--checkpoint", "nosuch/nosuch/nosuch"], ["plan", "--blocks", "("], ["plan", "--task", "nosuch"],
        ["doctor", "--recipe", "nosuch.py"], ["doctor", "--recipe", "."], ["doctor", "--task", "nosuch"],
        ["report", "nosuch"], ["card", "write", "nosuch"], ["card", "lint", "nosuch"], ["export", "nosuch"],
        ["push", "nosuch", "me/x", "--dry-run"], ["evaluate", "nosuch", "--dataset", "sample"], ["demo", "nosuch"],
    ):  # fmt: skip
        yield Input(f"hfkit {' '.join(words)}", lambda place, words=words: ["hfkit", *words])


# Settings of a checkpoint


def list_configurations(work: Path) -> Iterator[Input]:
    odd: list[tuple[str, Any]] = [
        *(("hidden_size", value) for value in ("big", 0, -1, 10**12, 33, None, math.nan, 10**400, [32], True)),
        *(("hidden_act", value) for value in ("nosuch", ["gelu"], 5)),
        *(("num_hidden_layers", value) for value in (10**6, -1, 0, 2.5, "4")),
        *(("num_attention_heads", value) for value in (0, 3, -2, "x")),
        *(("vocab_size", value) for value in (10**11, 3, -1, "x")),
        *(("max_position_embeddings", value) for value in (0, 10**12, -5)),
        *(("model_type", value) for value in (None, "nosuch", ["bert"], 5, "")),
        *(("hidden_dropout_prob", value) for value in (7, "x")),
        *(("num_labels", value) for value in (-1, 10**12, "x")),
        *(("id2label", value) for value in (["a"], {"x": "a"}, "x")),
        *(("quantization_config", value) for value in ([1], "x", {})),
        *(("auto_map", value) for value in ([1], {"AutoModel": 5})),
        *(("pad_token_id", value) for value in (10**9, -500)),
        *(("architectures", value) for value in ("x", 5)),
        *(("transformers_weights", value) for value in (5, "../x.safetensors")),
        *(("dtype", value) for value in ("nosuch", 5)),
        ("layer_norm_eps", "x"),
        ("type_vocab_size", 0),
        ("intermediate_size", 10**12),
        ("text_config", 5),
        ("hfkit_task", 5),
        ("_attn_implementation", "nosuch"),
        ("problem_type", "x"),
    ]
    fine = {("architectures", "[]"), ("quantization_config", "{}"), ("problem_type", "'x'")}
    for name, value in odd:
        yield Input(
            f"config.json, {name}: {value!r:.30}",
            lambda place: train(work, checkpoint=place / "model"),
            lambda place, name=name, value=value: change_settings(work, place / "model", "config.json", {name: value}),
            harmless=(name, repr(value)) in fine,
        )


def change_settings(work: Path, folder: Path, file: str, changes: dict[str, Any]) -> None:
    def write(path: Path) -> None:
        settings = json.loads((work / "material/bert" / file).read_text())
        path.write_text(json.dumps(settings | changes))

    change_checkpoint(work / "material/bert", folder, file, write)


def list_tokenizers(work: Path) -> Iterator[Input]:
    letter = {"type": "Replace", "pattern": {"String": "a"}}
    special = {"SpecialToken": {"id": "[CLS]", "type_id": 0}}
    first, second = ({"Sequence": {"id": name, "type_id": 0}} for name in "AB")
    known = {"[CLS]": {"id": "[CLS]", "ids": [2], "tokens": ["[CLS]"]}}
    template = {"type": "TemplateProcessing", "single": [special] * 10**5 + [first], "pair": [first, second]}
    parts: dict[str, dict[str, Any]] = {
        "a megabyte of a letter": {"normalizer": {**letter, "content": "b" * 10**6}},
        "letters of letters": {
            "normalizer": {"type": "Sequence", "normalizers": [{**letter, "content": "a" * 200}] * 4}
        },
        "a megabyte before each text": {"normalizer": {"type": "Prepend", "prepend": "b " * 500_000}},
        "10^5 special tokens in each row": {"post_processor": {**template, "special_tokens": known}},
        "no model": {"model": []},
        "a model that does not exist": {"model": {"type": "Nosuch", "vocab": {}}},
        "a list of words": {"model": {"type": "WordPiece", "vocab": []}},
        "a negative number": {"model": {"type": "WordLevel", "vocab": {"a": -3}, "unk_token": "a"}},
        "a number beyond the model": {
            "model": {"type": "WordLevel", "vocab": {"anna": 10**5, "likes": 5}, "unk_token": "likes"}
        },
        "a huge number": {
            "model": {"type": "WordLevel", "vocab": {"anna": 4 * 10**9, "likes": 5}, "unk_token": "likes"}
        },
    }
    for name, changes in parts.items():
        yield Input(
            f"tokenizer.json, {name}",
            lambda place: train(work, checkpoint=place / "model"),
            lambda place, changes=changes: change_settings(work, place / "model", "tokenizer.json", changes),
        )
    settings: list[tuple[str, Any]] = [
        *(("model_max_length", value) for value in ("x", -1, 0, math.nan)),
        *(("pad_token", value) for value in (5, ["x"])),
        *(("added_tokens_decoder", value) for value in ([1], {"x": {"content": 5}})),
        *(("model_input_names", value) for value in (5, ["nosuch"], [])),
        ("tokenizer_class", [1]),
        ("extra_special_tokens", 5),
        ("padding_side", "up"),
        ("truncation_side", 4),
    ]
    for name, value in settings:
        yield Input(
            f"tokenizer_config.json, {name}: {value!r:.30}",
            lambda place: train(work, checkpoint=place / "model"),
            lambda place, name=name, value=value: change_settings(
                work, place / "model", "tokenizer_config.json", {name: value}
            ),
        )


# Rows


def list_rows(work: Path) -> Iterator[Input]:
    def draw(number: int) -> list[dict[str, Any]]:
        return [{"text": f"anna likes rain {i}", "label": ("good", "bad")[i % 2]} for i in range(number)]

    rows = "".join(json.dumps(row) + "\n" for row in draw(40))
    lines = {
        "a text of no width": '{"text": "\\u200b\\u2060\\ufeff", "label": "good"}',
        "a number among names": '{"text": "anna", "label": 1}',
        "a truth value among names": '{"text": "anna", "label": true}',
        "a list among names": '{"text": "anna", "label": ["good"]}',
        "an object among names": '{"text": "anna", "label": {"a": 1}}',
        "no label": '{"text": "anna", "label": null}',
        "an infinite label": '{"text": "anna", "label": Infinity}',
        "a label of 400 digits": f'{{"text": "anna", "label": {"9" * 400}}}',
        "a label of 5000 digits": f'{{"text": "anna", "label": {"9" * 5000}}}',
        "a label nested 5000 deep": f'{{"text": "anna", "label": {DEEP_LIST}}}',
        "a text that is a number": '{"text": 5, "label": "good"}',
        "a text that is a list": '{"text": ["anna"], "label": "good"}',
        "a text that is no number": '{"text": NaN, "label": "good"}',
        "a key twice": '{"text": "anna", "text": "rain", "label": "good"}',
        "a list as a row": "[1]",
        "a line cut off": '{"text": "anna", "lab',
    }
    for name, line in lines.items():
        yield Input(
            f"rows, {name}",
            lambda place: train(work, dataset=place / "rows.jsonl"),
            lambda place, line=line: (place / "rows.jsonl").write_text(f"{rows}{line}\n"),
        )
    alike = {
        "one label": [{**row, "label": "good"} for row in draw(40)],
        "a label for each row": [{**row, "label": str(i)} for i, row in enumerate(draw(40))],
        "one row": draw(1),
        "no text": [{"label": row["label"]} for row in draw(40)],
        "two texts": [{**row, "sentence": "rain"} for row in draw(40)],
    }
    for name, found in alike.items():
        yield Input(
            f"rows, {name}",
            lambda place: train(work, dataset=place / "rows.jsonl"),
            lambda place, found=found: (place / "rows.jsonl").write_text("".join(json.dumps(r) + "\n" for r in found)),
        )
    words = {
        "a tag of no form": {"tokens": ["a", "b"], "tags": ["O", "X-"]},
        "words in one text": {"tokens": "a b", "tags": ["O", "O"]},
        "more tags than words": {"tokens": ["a"], "tags": ["O", "O"]},
        "a word that is a number": {"tokens": ["a", 5], "tags": ["O", "O"]},
        "tags that are lists": {"tokens": ["a"], "tags": [["O"]]},
    }
    for name, row in words.items():
        yield Input(
            f"words, {name}",
            lambda place: flags("ner", work, "--output_dir", "out", "--dataset", str(place / "rows.jsonl")),
            lambda place, row=row: (place / "rows.jsonl").write_text((json.dumps(row) + "\n") * 20),
        )
    draw_byte = random.Random(0)
    noise = bytes(draw_byte.randrange(256) for _ in range(5000))
    for suffix in (".jsonl", ".json", ".csv", ".parquet", ".xlsx", ".zip"):
        yield Input(
            f"dataset x{suffix}: noise",
            lambda place, suffix=suffix: train(work, dataset=place / f"x{suffix}"),
            lambda place, suffix=suffix: (place / f"x{suffix}").write_bytes(noise),
        )


# Flags


def list_flags(work: Path) -> Iterator[Input]:
    deep = DEEP_LIST[:5000]
    # Flags and values, a space between them; {} and "" stand for themselves.
    given: list[list[str]] = [
        *([name, value] for name in ("--output_dir", "--dataset", "--checkpoint") for value in ("", " ")),
        *(["--output_dir", value] for value in ("/dev/null/x", "/proc/x", "x" * 300)),
        *([name, "x" * 5000] for name in ("--dataset", "--checkpoint", "--split_file", "--config")),
        *([name, "~nobody-of-this-name/x"] for name in ("--dataset", "--checkpoint", "--split_file")),
        *([name, "nan"] for name in ("--learning_rate", "--weight_decay", "--max_grad_norm", "--warmup_steps",
                                      "--label_smoothing_factor", "--logging_steps", "--neftune_noise_alpha")),
        *([name, "inf"] for name in ("--learning_rate", "--num_train_epochs", "--cache_budget", "--max_grad_norm")),
        *([name, "-1"] for name in ("--seed", "--weight_decay", "--save_total_limit", "--eval_delay", "--ddp_timeout",
                                     "--lora_rank", "--data_seed", "--dataloader_num_workers", "--max_length")),
        *([name, "0"] for name in ("--save_steps", "--eval_steps", "--save_total_limit", "--max_length",
                                    "--max_train_rows", "--per_device_train_batch_size", "--learning_rate")),
        *([name, "9" * 400] for name in ("--seed", "--learning_rate", "--max_steps", "--max_length")),
        *([name, "9" * 5000] for name in ("--seed", "--max_steps")),
        *([name, "nosuch"] for name in ("--strategy", "--optim", "--lr_scheduler_type", "--problem", "--baseline",
                                         "--report_to", "--license", "--metric_for_best_model", "--ddp_backend",
                                         "--log_level", "--fsdp", "--text_column", "--unit_column", "--split_column",
                                         "--resume_from_checkpoint", "--torch_compile_backend", "--annotator_column",
                                         "--blocks", "--parallelism_config", "--deepspeed", "--accelerator_config",
                                         "--fsdp_config", "--optim_target_modules", "--label_names", "--encoding")),
        *([name, value] for name in ("--label_texts", "--lr_scheduler_kwargs") for value in ("{", "[1]", "5", deep)),
        *(["--lr_scheduler_kwargs", '{"nosuch": 1}'], ["--gradient_checkpointing_kwargs", "[1]"]),
        *(["--optim", "adafactor", "--optim_args", "x=y"], ["--optim_args", "x"], ["--optim_args", "x=y"]),
        *(["--sheet", "x"], ["--query", "select 1"], ["--dataset_config", "x"], ["--dataset_revision", "x"]),
        *(["--test_share", "1"], ["--test_share", "2"], ["--adam_beta1", "2"], ["--adam_epsilon", "nan"]),
        *(["--fp16"], ["--bf16", "maybe"], ["--tf32", "true"], ["--strategy", "lora", "--lora_rank", "0"]),
        *(["--seed", "\u00b2"], ["--blocks", "("], ["--label_column", "text"], ["--encoding", "base64"]),
        *(["--torch_compile", "true", "--torch_compile_mode", "nosuch"], ["--dataloader_prefetch_factor", "2"]),
        *(["--hub_model_id", "a b/c", "--push_to_hub"], ["--push_to_hub", "--hub_token", "x"], ["--nosuch", "1"]),
        *(["--learning", "1"], ["--text_column", "\x1b[31mred\nline"], ["--max_length", "1000000000"]),
    ]  # fmt: skip
    for words in given:
        yield Input(" ".join(word[:40] for word in words), lambda place, words=words: train(work, *words))
