"""The rules by which the Hub refuses a card, as far as they are known outside of it."""

import math
import re
from typing import Any

import yaml

# Of the Hub's list, what a model of this project may carry.
LICENSES = (
    *("apache-2.0", "mit", "bsd", "bsd-2-clause", "bsd-3-clause", "openrail", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0"),
    *("cc-by-nc-4.0", "cc-by-nc-sa-4.0", "gpl-3.0", "lgpl-3.0", "agpl-3.0", "mpl-2.0", "unlicense", "llama3", "gemma"),
    *("other", "unknown"),
)
PIPELINES = (
    *("text-classification", "token-classification", "question-answering", "zero-shot-classification", "translation"),
    *("summarization", "feature-extraction", "text-generation", "fill-mask", "sentence-similarity", "text-ranking"),
    *("image-classification", "image-segmentation", "object-detection", "zero-shot-image-classification"),
    *("audio-classification", "automatic-speech-recognition", "text-to-speech", "tabular-classification"),
)
REPO = re.compile(r"[\w.-]+(/[\w.-]+)?")


def card_faults(content: str) -> list[str]:
    """What is wrong with the metadata of a README."""
    found = re.match(r"\ufeff?---[ \t]*\r?\n(.*?)\r?\n---[ \t]*(\r?\n|$)", content, re.DOTALL)
    if not found:
        return []  # a card without metadata is only warned of
    try:
        metadata = yaml.safe_load(found.group(1))
    except yaml.YAMLError as error:
        return [f"YAML metadata is invalid: {' '.join(str(error).split())}"]
    if metadata is None:
        return []
    if not isinstance(metadata, dict):
        return ["YAML metadata must be a mapping"]
    return [fault for key, value in metadata.items() for fault in _faults_of(key, value)]


def _faults_of(key: str, value: Any) -> list[str]:
    if key == "license" and value not in LICENSES:
        return [f'"license" must be one of [{", ".join(LICENSES)}]']
    if key == "pipeline_tag" and value not in PIPELINES:
        return [f'"pipeline_tag" must be one of [{", ".join(PIPELINES)}]']
    if key in ("tags", "datasets", "metrics") and not (
        isinstance(value, list) and all(isinstance(item, str) for item in value)
    ):
        return [f'"{key}" must be an array of strings']
    if key == "base_model":
        names = value if isinstance(value, list) else [value]
        if not all(isinstance(name, str) and REPO.fullmatch(name) for name in names):
            return ['"base_model" with value must be a valid model id']
    if key == "datasets" and not all(REPO.fullmatch(name) for name in value):
        return ['"datasets" must be ids of datasets']
    return _index_faults(value) if key == "model-index" else []


def _index_faults(index: Any) -> list[str]:
    if not isinstance(index, list):
        return ['"model-index" must be an array']
    for place, model in enumerate(index):
        at = f"model-index[{place}]"
        if not isinstance(model, dict) or not isinstance(model.get("name"), str):
            return [f'"{at}.name" is required']
        for number, result in enumerate(model.get("results") or []):
            at = f"model-index[{place}].results[{number}]"
            for part, keys in (("task", ["type"]), ("dataset", ["type", "name"])):
                for name in keys:
                    if not isinstance((result.get(part) or {}).get(name), str):
                        return [f'"{at}.{part}.{name}" is required']
            if not isinstance(result.get("metrics"), list):
                return [f'"{at}.metrics" is required']
            for metric in result["metrics"]:
                value = metric.get("value")
                if not isinstance(metric.get("type"), str) or value is None:
                    return [f'"{at}.metrics" need type and value']
                if isinstance(value, float) and not math.isfinite(value):
                    return [f'"{at}.metrics" must be numbers']
    return []
