"""What is trained in parts (FSDP2) comes out as with whole copies, and what is not proven to is refused."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from accelerate import FullyShardedDataParallelPlugin
from accelerate.commands.config.config_args import load_config_from_file
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification

from hfkit import TransferTrainer, UserError
from hfkit.arguments.strategies import STRATEGIES
from hfkit.training.refusals import SHARDED, refuse_engines, refuse_shards
from tests.fixtures.distributed_run import shipped
from tests.fixtures.pairs import DDP, GRADUAL, ROOT, free_port, launch
from tests.fixtures.runs import trainer
from tests.recipes.test_families import write_corpora
from tests.tiny.families import FAMILIES

CONFIGS = sorted((ROOT / "recipes" / "accelerate").glob("*.yaml"))
PLAIN = {"optim": "sgd", "learning_rate": 0.05, "head_learning_rate": 0.1, "per_device_train_batch_size": 2}
ALIKE = [name for name in STRATEGIES if name not in ("lora", "auto")]


def plugin(**changes) -> FullyShardedDataParallelPlugin:
    settings = {"fsdp_version": 2, "state_dict_type": "FULL_STATE_DICT", "cpu_ram_efficient_loading": False}
    return FullyShardedDataParallelPlugin(**{**settings, **changes})


def test_what_is_shipped_passes(checkpoint, corpus, tmp_path):
    run = trainer(checkpoint, corpus, tmp_path)
    settings = {name.removeprefix("fsdp_"): value for name, value in shipped().items()}
    policy, offload = settings.pop("auto_wrap_policy"), settings.pop("offload_params")
    assert (policy, offload) == ("TRANSFORMER_BASED_WRAP", False)
    settings["fsdp_version"] = settings.pop("version")
    refuse_shards(run.model, run.args, FullyShardedDataParallelPlugin(**settings))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"fsdp_version": 1, "reshard_after_forward": "full_shard"}, "fsdp_version=1"),
        ({"state_dict_type": "SHARDED_STATE_DICT"}, "fsdp_state_dict_type=SHARDED_STATE_DICT"),
        ({"cpu_offload": True}, "fsdp_offload_params"),
        ({"cpu_ram_efficient_loading": True}, "fsdp_cpu_ram_efficient_loading"),
        ({"activation_checkpointing": True}, "fsdp_activation_checkpointing"),
    ],
)
def test_other_ways_of_sharding_are_refused(changes, named, checkpoint, corpus, tmp_path):
    run = trainer(checkpoint, corpus, tmp_path)
    with pytest.raises(UserError, match=named):
        refuse_shards(run.model, run.args, plugin(**changes))


@pytest.mark.parametrize("flags", [{"strategy": "lora"}, {"fp16": True}, {"mixout": 0.3}], ids=str)
def test_what_needs_whole_weights_is_refused(flags, checkpoint, corpus, tmp_path):
    run = trainer(checkpoint, corpus, tmp_path, **{"strategy": flags.get("strategy", "full")})
    for name, value in flags.items():
        setattr(run.args, name, value)  # fp16 itself asks for a GPU
    with pytest.raises(UserError, match=next(iter(flags))):
        refuse_shards(run.model, run.args, plugin())


@pytest.mark.parametrize("name", ["T5", "ALBERT"])
def test_a_model_with_shared_weights_is_refused(name, checkpoint, corpus, tmp_path):
    args = trainer(checkpoint, corpus, tmp_path).args
    config = next(family for family in FAMILIES if family.name == name).config()
    config.vocab_size = 100
    with pytest.raises(UserError, match=f"model of type {config.model_type}"):
        refuse_shards(AutoModelForSequenceClassification.from_config(config), args, plugin())


def test_sharding_that_would_not_be_done_is_refused(checkpoint, corpus, tmp_path, monkeypatch):
    """Without several GPUs accelerate forgets that it was asked, and trains with whole copies."""
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(UserError, match="FSDP without several GPUs"):
        trainer(checkpoint, corpus, tmp_path)


def test_deepspeed_is_refused(checkpoint, corpus, tmp_path):
    run = trainer(checkpoint, corpus, tmp_path)
    run.is_deepspeed_enabled = True
    with pytest.raises(UserError, match="steps within the backward pass"):
        refuse_engines(run)


def test_one_process_on_two_gpus_is_refused(checkpoint, corpus, tmp_path):
    """The stock trainer wraps in nn.DataParallel by itself: the gradients of two GPUs were 2.005 times too large."""
    run = trainer(checkpoint, corpus, tmp_path)
    run.args._n_gpu = 2
    parts = {name: getattr(run, name) for name in ("model", "args", "task", "codec", "rows")}
    with pytest.raises(UserError, match="one process with 2 GPUs.*accelerate launch.*CUDA_VISIBLE_DEVICES=0"):
        TransferTrainer(**parts)


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: file.stem)
def test_accelerate_reads_the_config(file):
    config = load_config_from_file(str(file))
    assert config.num_processes >= 2 and config.distributed_type in ("MULTI_GPU", "FSDP")
    assert config.num_machines == (2 if file.stem == "two_nodes" else 1)
    assert file.stem in file.read_text().partition("compute_environment")[0], "the header shows the command"


def test_there_is_a_config_for_each_engine_that_is_not_refused():
    assert [file.stem for file in CONFIGS] == ["ddp", "fsdp2", "two_nodes"]


@pytest.mark.slow
def test_every_strategy_trains_in_parts_as_with_copies(checkpoint, tmp_path, corpus):
    def jobs(folder: str, sharded: bool, **flags) -> list[dict]:
        own = {**flags, **PLAIN}
        shared = dict(checkpoint=checkpoint, corpus=corpus, without_dropout=True, sharded=sharded)
        strategies = {name: {"strategy": name} for name in ALIKE} | {"gradual": GRADUAL}
        return [
            dict(shared, output=str(tmp_path / folder / name), flags={**strategy, **own})
            for name, strategy in strategies.items()
        ]

    half = {"bf16": True}
    done = launch(
        [
            *jobs("copies", False),
            *jobs("copies-bf16", False, **half),
            *jobs("parts", True),
            *jobs("parts-bf16", True, **half),
        ]
    )
    assert done.returncode == 0, done.stderr[-3000:]
    for precision, tolerance in (("", 1e-5), ("-bf16", 0.02)):
        for name in ALIKE:
            copies, parts = (
                load_file(tmp_path / f"{kind}{precision}" / name / "model.safetensors") for kind in ("copies", "parts")
            )
            apart = max((copies[key] - parts[key]).abs().max().item() for key in copies)
            assert copies.keys() == parts.keys() and apart < tolerance, (precision, name)


@pytest.mark.slow
def test_every_model_type_trains_in_parts_as_with_copies(tmp_path):
    write_corpora(tmp_path)
    done = launch([], [*DDP, str(free_port())], worker="sharded_run.py", argument=str(tmp_path))
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads((tmp_path / "found.json").read_text())
    assert {entry["type"] for entry in found.values()} == SHARDED
    assert not {name: entry for name, entry in found.items() if entry["moved"] < 1e-3}
    assert not {name: entry for name, entry in found.items() if entry["apart"] > 1e-3 * entry["moved"]}


@pytest.mark.slow
def test_two_machines_train_one_model(checkpoint, corpus, tmp_path):
    """The command of two_nodes.yaml, both machines being this one."""
    command = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(CONFIGS[2]), "--num_processes"]
    command += ["2", "--main_process_ip", "127.0.0.1", "--main_process_port", str(free_port())]
    recipe = ["recipes/bert_ner.py", "--use_cpu", "--checkpoint", checkpoint, "--dataset", corpus]
    recipe += ["--output_dir", str(tmp_path / "out"), "--num_train_epochs", "1"]
    machines = [
        subprocess.Popen(
            [*command, "--machine_rank", rank, *recipe], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        for rank in ("0", "1")
    ]
    errors = [machine.communicate(timeout=300)[1].decode() for machine in machines]
    assert [machine.returncode for machine in machines] == [0, 0], errors
    assert json.loads((tmp_path / "out" / "hfkit_run.json").read_text())["world_size"] == 2
    assert Path(tmp_path / "out" / "report.html").exists()
