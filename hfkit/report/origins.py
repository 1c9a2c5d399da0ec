"""Where a run's checkpoint and data come from, as far as that can be read: what is not known is null.

A run never fails for it. In a local folder the front matter of its README.md is read; the card of an id comes from the
Hub if that may be contacted, otherwise from the cache.
"""

import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import hf_hub_download, try_to_load_from_cache
from huggingface_hub.repocard import REGEX_YAML_BLOCK
from safetensors import SafetensorError, safe_open

from hfkit.arguments.adapters import kind_of
from hfkit.arguments.hub_terms import LANGUAGE
from hfkit.errors import UserError
from hfkit.model.sources import name_base
from hfkit.report.names import SAMPLE_ENCODER, checkpoint_name, dataset_name, is_hub_id
from hfkit.samples import PACKAGED, resolve_checkpoint

MOST_CARD_BYTES = 1_000_000
# Parts of a checkpoint that are counted or fixed, and never learnt.
NOT_LEARNT = ("running_mean", "running_var", "num_batches_tracked", "position_ids")


def base_origin(settings: dict[str, Any]) -> dict[str, Any] | None:
    """The checkpoint that a run with these settings started from (see `schema`); None where none is named.

    Where an adapter was trained on, it is the base of that one.
    """
    checkpoint = settings.get("checkpoint")
    if not checkpoint:
        return None
    if settings.get("checkpoint_adapter") == "train":
        checkpoint = name_base(checkpoint)
    relation = "adapter" if kind_of(settings) else "finetune"
    try:
        place = resolve_checkpoint(checkpoint)
    except UserError:
        place = checkpoint
    folder, name, here = Path(place), checkpoint_name(checkpoint), os.path.exists(place)
    if here:
        folder = folder if folder.is_dir() else folder.parent  # of a GGUF file
        card, revision = folder / "README.md", None
    else:
        card, _ = hub_card(place, None)
        # The commit is that of the files the run itself has loaded.
        folder = find_cached(place, "config.json")
        revision = folder.name if folder else None
    known = {"license": PACKAGED[checkpoint].license} if checkpoint in PACKAGED else read_front_matter(card)
    on_hub = name == SAMPLE_ENCODER or checkpoint in PACKAGED or (not here and is_hub_id(place))
    return {
        "name": name,
        "id": name if on_hub else None,
        "revision": revision,
        "license": license_of(known.get("license")),
        "language": languages_of(known.get("language")),
        "parameters": count_parameters(folder) if folder else None,
        "relation": relation if settings.get("pretrained", True) else None,
    }


def dataset_origin(dataset: str, revision: str | None, sample: Mapping[str, Any]) -> dict[str, Any]:
    """The dataset that a run was given (see `schema`).

    Args:
        sample: what a card would say of the bundled rows (see `contract.task.Sample.origin`).
    """
    identity = None
    if dataset == "sample":
        known = sample
    elif os.path.exists(place := os.path.expanduser(dataset)):  # a file may be called like an id, too
        known = read_front_matter(Path(place, "README.md"))
    else:
        identity = dataset if is_hub_id(dataset) else None
        card, commit = hub_card(dataset, revision, repo_type="dataset")
        known, revision = read_front_matter(card), commit or revision
    return {
        "name": dataset_name(dataset),
        "id": identity,
        "revision": revision,
        "license": license_of(known.get("license")),
        "language": languages_of(known.get("language")),
    }


def hub_card(name: str, revision: str | None, repo_type: str | None = None) -> tuple[Path | None, str | None]:
    """The card of an id on the Hub, and its commit; None where the Hub or the cache has none."""
    if not is_hub_id(name):
        return None, None
    for wanted in dict.fromkeys((revision, None)):  # a branch of converted files has no card of its own
        try:
            card = Path(hf_hub_download(name, "README.md", repo_type=repo_type, revision=wanted))
        # Whatever the network or the cache raises: a fact for the report is not worth a run.
        except Exception:
            continue
        return card, card.parent.name if wanted == revision else None
    return None, None


def find_cached(name: str, file: str) -> Path | None:
    """The folder of the cache that has a file of an id on the Hub."""
    place = try_to_load_from_cache(name, file) if is_hub_id(name) else None
    return Path(place).parent if isinstance(place, str) else None


def read_front_matter(card: Path | None) -> dict[str, Any]:
    """The metadata of a card; {} where there is none, or none that can be read."""
    try:
        if card is None or card.stat().st_size > MOST_CARD_BYTES:
            return {}
        block = REGEX_YAML_BLOCK.search(card.read_text(encoding="utf-8"))
        metadata = yaml.safe_load(block[2]) if block else {}
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return metadata if isinstance(metadata, dict) else {}


def count_parameters(folder: Path) -> int | None:
    """How many parameters the safetensors files of a checkpoint hold, by their headers; None without such files."""
    try:
        return sum(map(count_parameters_in, sorted(folder.glob("model*.safetensors")))) or None
    except (OSError, SafetensorError):
        return None


def count_parameters_in(file: Path) -> int:
    with safe_open(file, "numpy") as weights:
        learnt = [name for name in weights.keys() if not name.endswith(NOT_LEARNT)]
        return sum(math.prod(weights.get_slice(name).get_shape()) for name in learnt)


def license_of(value: Any) -> str | None:
    """The licence that a card names, which may also be a list of one."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value.strip().lower() if isinstance(value, str) and value.strip() else None


def languages_of(value: Any) -> list[str]:
    """The codes of languages that a card names, one or several; anything else is left out."""
    values: Iterable[Any] = value if isinstance(value, list) else [value]
    # YAML reads Norwegian, `no` without quotes, as false.
    codes = ("no" if one is False else one for one in values)
    return [code for code in codes if isinstance(code, str) and LANGUAGE.fullmatch(code)]
