"""Every architecture of transformers that has a task of hfkit, and every family of timm: is it mapped, and right?

    python -m benchmarks.architectures                  # resumable; writes benchmarks/results/architectures.json
    python -m benchmarks.architectures --only mixtral   # one, with its traceback, and writes nothing

A small model of each is built with random weights and mapped. Whether a map is right is then checked by other means
than those that proved it:

* the number of blocks is the one in the configuration;
* forward hooks see the blocks called in order of depth;
* with everything up to a depth frozen, autograd needs no gradient for what its blocks return, and one for the next.

Architectures that cannot be built small are listed with the reason, and not counted. One that is built and runs on no
rows counts as refused.
"""

import argparse
import json
import multiprocessing
import os
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

RESULT = Path(__file__).parent / "results" / "architectures.json"
CELLS = Path("runs/bench/architectures.jsonl")
SECONDS = 40  # of CPU time, for one architecture
WARM = ("bert", "resnet", "llama", "detr")  # what these import is imported once, and not in every process
# Where hooks or gradients say nothing about a block.
UNSEEN = {
    "mra": "without its CUDA kernel its attention returns zeros that require a gradient",
    "hrm_text": "it first goes round without gradients",
    "reformer": "its reversible layers run without gradients and are run again in the backward pass",
    "squeezebert": "it calls `forward` of its layers, which passes by hooks",
}
LARGEST = 60_000_000  # parameters of a model that counts as small
TASKS = {
    "sequence classification": "SEQUENCE_CLASSIFICATION",
    "token classification": "TOKEN_CLASSIFICATION",
    "image classification": "IMAGE_CLASSIFICATION",
    "question answering": "QUESTION_ANSWERING",
    "audio classification": "AUDIO_CLASSIFICATION",
    "object detection": "OBJECT_DETECTION",
    "semantic segmentation": "SEMANTIC_SEGMENTATION",
    "speech recognition": "CTC",
    "speech to text": "SPEECH_SEQ_2_SEQ",
    "text to text": "SEQ_TO_SEQ_CAUSAL_LM",
    "masked language modeling": "MASKED_LM",
    "causal language modeling": "CAUSAL_LM",
}


class NoRowsError(Exception):
    """A model was built, and runs on none of the rows made up for it. The cause is what it said."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--only", nargs="+", default=None, help="these architectures, as model types or timm names")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    cases = dict(find_cases())
    if args.only:
        for name in args.only:
            print(json.dumps(examine(name, *cases[name], loud=True)))
        return
    done = {row["name"]: row for row in map(json.loads, CELLS.read_text().splitlines())} if CELLS.is_file() else {}
    CELLS.parent.mkdir(parents=True, exist_ok=True)
    if cases.keys() - done.keys():
        for name in WARM:
            examine(name, *cases[name])
    for name, case in cases.items():
        if name not in done:
            done[name] = run_apart(name, *case)
            with CELLS.open("a") as file:
                file.write(json.dumps(done[name]) + "\n")
            print(json.dumps(done[name]), flush=True)
    write([done[name] for name in cases])


def find_cases() -> Iterator[tuple[str, tuple[str, str]]]:
    """Name of each architecture -> (task, class); the first task in `TASKS` that it has."""
    import timm
    from transformers.models.auto import modeling_auto

    found: dict[str, tuple[str, str]] = {}
    for task, name in TASKS.items():
        for model_type, classes in getattr(modeling_auto, f"MODEL_FOR_{name}_MAPPING_NAMES").items():
            chosen = classes if isinstance(classes, str) else classes[0]
            if model_type != "timm_wrapper":
                found.setdefault(model_type, (task, chosen))
    yield from sorted(found.items())
    for family in timm.list_modules():
        if models := timm.list_models(module=family):
            yield f"timm/{family}", ("image classification", min(models, key=guess_size))


def guess_size(model: str) -> tuple[int, int, str]:
    """A key that sorts models of one family from small to large, by what their names say."""
    words = ("atto", "femto", "pico", "nano", "xxs", "xxt", "xt", "xs", "tiny", "mini", "small", "s0", "t0", "b0", "18")
    place = next((i for i, word in enumerate(words) if word in model), len(words))
    big = sum(word in model for word in ("large", "huge", "giant", "xlarge", "384", "448", "512", "base"))
    return big, place, model


def run_apart(name: str, task: str, chosen: str) -> dict[str, Any]:
    """`examine` in a process of its own, which may take no longer than `SECONDS`."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    child = os.fork()
    if child == 0:
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        sys.stderr = sys.stdout = open(os.devnull, "w")
        sender.send(examine(name, task, chosen))
        os._exit(0)
    sender.close()
    try:
        row = receiver.recv()
    except EOFError:
        row = {"name": name, "task": task, "class": chosen, "outcome": "not built", "reason": f"over {SECONDS} s"}
    os.waitpid(child, 0)
    return row


def examine(name: str, task: str, chosen: str, loud: bool = False) -> dict[str, Any]:
    """What becomes of one architecture: proven, listed, in part (a tower was not run), refused, wrong, or not built."""
    from hfkit.errors import UserError
    from hfkit.model.depth import Depths

    row: dict[str, Any] = {"name": name, "task": task, "class": chosen}
    began = time.process_time()
    try:
        model, inputs = build(name, chosen)
    except NoRowsError as error:
        return row | {"outcome": "refused", "reason": f"it runs on no rows made up for it ({shorten(error.__cause__)})"}
    except Exception as error:
        if loud:
            traceback.print_exc()
        return row | {"outcome": "not built", "reason": shorten(error)}
    row["build_seconds"] = round(time.process_time() - began, 2)
    began = time.process_time()
    try:
        depths = Depths.of(model)
    except UserError as error:
        return row | {"outcome": "refused", "reason": error.rule}
    except Exception as error:
        if loud:
            traceback.print_exc()
        return row | {"outcome": "wrong", "reason": "crash: " + shorten(error)}
    row |= {"map_seconds": round(time.process_time() - began, 2), "blocks": depths.head - 1, "found": depths.origin}
    row["names"] = list(depths.names[1:-1])
    row["ends"] = {
        str(depth): sorted({shorten_path(n) for n, d in depths.parameters.items() if d == depth})
        for depth in (0, depths.head)
    }
    try:
        wrong = find_faults(name, model, inputs, depths)
    except Exception as error:
        if loud:
            traceback.print_exc()
        wrong = "check failed: " + shorten(error)
    outcome = "wrong" if wrong else "proven" if depths.origin else "listed"
    if outcome == "proven" and "do not run" in depths.origin:
        outcome = "in part"
    return row | {"outcome": outcome} | ({"reason": wrong} if wrong else {})


def shorten(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:200]


def shorten_path(name: str) -> str:
    return ".".join("*" if part.isdecimal() else part for part in name.split(".")[:4])


def build(name: str, chosen: str) -> tuple[Any, dict[str, Any]]:
    """A small model, and inputs that it runs on.

    Raises:
        Exception: whatever keeps it from being built or run; the last one of several tries.
    """
    import torch
    import transformers

    from benchmarks.tiny_configs import make_config
    from hfkit.model.probe import probe_rows

    failure: Exception = ValueError("nothing tried")
    for level in (1, 0):
        try:
            torch.manual_seed(0)
            if name.startswith("timm/"):
                model = build_timm(chosen, level)
            else:
                config = make_config(name, level)
                with torch.device("meta"):
                    size = getattr(transformers, chosen)(config).num_parameters()
                if size > LARGEST:
                    raise ValueError(f"{size / 1e6:,.0f} M parameters")
                model = getattr(transformers, chosen)(config).eval()
        except Exception as error:
            failure = error
            continue
        first: Exception | None = None
        for inputs in probe_rows(model):
            try:
                with torch.no_grad():
                    model(**inputs)
                return model, inputs
            except Exception as error:
                first = first or error
        failure = NoRowsError()
        failure.__cause__ = first
    raise failure


def build_timm(architecture: str, level: int) -> Any:
    """A model of timm, for small pictures if its size can be chosen."""
    import transformers

    config = transformers.TimmWrapperConfig(
        architecture=architecture, num_labels=3, model_args={"img_size": 64} if level else {}
    )
    return transformers.TimmWrapperForImageClassification(config).eval()


def find_faults(name: str, model: Any, inputs: dict[str, Any], depths: Any) -> str:
    """What is wrong with a map, in words; "" for nothing."""
    from benchmarks.tiny_counts import expected_blocks

    expected = expected_blocks(name, model)
    if expected is not None and depths.head - 1 != expected:
        return f"{depths.head - 1} blocks, and {expected} by the configuration"
    if name in UNSEEN:
        return ""
    from hfkit.model.paths import base_of

    base = base_of(model, depths.parameters)
    modules = {base + path: depth for depth, paths in enumerate(depths.names[1:-1], 1) for path in paths.split(" + ")}
    known = {path for path, _ in model.named_modules()}
    modules = {path: depth for path, depth in modules.items() if path in known}  # timm may name a bare parameter
    side_by_side = any(" + " in paths for paths in depths.names)
    calls = call_blocks(model, inputs, modules)
    order = [depth for depth, _ in calls.values()]
    if order != sorted(order) and not side_by_side:
        return f"its blocks are called in the order {order}"
    if missing := [path for path in modules if path not in calls and is_called(model, path, modules)]:
        return f"{missing[0]} is not called"
    top = depths.head - 1
    for frozen in sorted({1, top // 2, top - 1} - {0, top}):
        for parameter_name, parameter in model.named_parameters():
            parameter.requires_grad_(parameter.is_floating_point() and depths.parameters[parameter_name] > frozen)
        for path, (depth, needs) in call_blocks(model, inputs, modules).items():
            if needs != (depth > frozen):
                return (
                    f"with depths up to {frozen} frozen, {path} at depth {depth} has{'' if needs else ' no'} gradient"
                )
    return ""


def is_called(model: Any, path: str, modules: dict[str, int]) -> bool:
    """Whether a block is one module and is run as a whole."""
    from torch import nn

    return not isinstance(model.get_submodule(path), nn.ModuleList | nn.ParameterList) and not any(
        other.startswith(f"{path}.") for other in modules
    )


def call_blocks(model: Any, inputs: dict[str, Any], modules: dict[str, int]) -> dict[str, tuple[int, bool]]:
    """Path of each block in the order of first calls -> (its depth, whether its output needs a gradient)."""
    import torch
    from torch.utils._pytree import tree_leaves

    calls: dict[str, tuple[int, bool]] = {}
    # timm's depths may be named by a stage that holds blocks of other depths.
    watched = [path for path in modules if not any(other.startswith(f"{path}.") for other in modules)]

    def watch(path: str) -> Callable:
        def note(module, args, output):
            tensors = [v for v in tree_leaves(output) if isinstance(v, torch.Tensor) and v.is_floating_point()]
            calls.setdefault(path, (modules[path], any(tensor.requires_grad for tensor in tensors)))

        return note

    hooks = [model.get_submodule(path).register_forward_hook(watch(path)) for path in watched]
    with torch.enable_grad():
        model(**inputs)
    for hook in hooks:
        hook.remove()
    return calls


def write(rows: list[dict[str, Any]]) -> None:
    import timm

    from hfkit.runtime.machine import environment

    facts = environment()
    facts["versions"]["timm"] = timm.__version__
    result = {
        "schema": "hfkit.architectures/1",
        "command": "python -m benchmarks.architectures",
        "environment": facts,
        # The names of all blocks, and what lies before and after them, are in the cells.
        "rows": [{key: value for key, value in row.items() if key not in ("names", "ends")} for row in rows],
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    counts: dict[str, int] = {}
    for row in rows:
        side = "timm" if row["name"].startswith("timm/") else "transformers"
        counts[f"{side} {row['outcome']}"] = counts.get(f"{side} {row['outcome']}", 0) + 1
    print(counts)


if __name__ == "__main__":
    main()
