"""A few rows that a model can be run on before there is any data, made of its signature and its configuration."""

import inspect
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn

from hfkit.model.paths import model_type_of

ROWS = 3
LENGTHS = (8, 32, 130)  # tokens; some models cut a text into pieces of a fixed length
TOGETHER = 2  # texts of a row, for models that read several
SIDES = (64, 224)  # pixels, where neither configuration nor weights say how many
SAMPLES = (2_000, 16_000)  # of a recording
FRAMES = (64, 256)  # of a spectrogram
BESIDE = ("input_ids", "pixel_values", "input_values", "input_features", "bbox", "decoder_input_ids")
TEXTS = ("input_ids", "bbox", "decoder_input_ids")
NO_PARTS = ("id2label", "label2id")
SIDE_KEYS = ("image_size", "img_size", "input_size")
BINS_KEYS = ("num_mel_bins", "input_feat_per_channel", "feature_projection_input_dim", "input_dim", "feature_size")


def probe_rows(model: nn.Module) -> Iterator[dict[str, Tensor]]:
    """Sets of inputs, the likeliest first: three rows, then one (a model without a padding token takes no more).

    The values do not matter to a record of reads. Where a model looks for its end token, each row has one, at its end.
    """
    accepted = inspect.signature(model.forward).parameters
    sizes = _sizes_of(model)
    device = next(model.parameters()).device
    dtype = next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)
    main = model.main_input_name if model_type_of(model) else next(iter(accepted))
    main = main if main in accepted else next(iter(accepted))
    for rows, wish in product((ROWS, 1), range(3)):
        given = {main: _make_input(main, model, sizes, rows, wish)}
        beside = {
            name: _make_input(name, model, sizes, rows, wish) for name in BESIDE if name in accepted and name != main
        }
        if "spatial_shapes" in accepted and "patch_size" in sizes:
            # SigLIP 2 takes patches, and how many of them are in each direction.
            given = {main: torch.zeros(rows, 16, sizes.get("num_channels", 3) * sizes["patch_size"] ** 2)}
            given |= {
                "pixel_attention_mask": torch.ones(rows, 16, dtype=torch.long),
                "spatial_shapes": torch.full((rows, 2), 4),
            }
        if sizes.get("is_encoder_decoder") is False:
            beside.pop("decoder_input_ids", None)
        texts = {name: value for name, value in beside.items() if name in TEXTS}
        sets = {tuple(inputs): inputs for inputs in (given | beside, given | texts, given)}  # each once
        for inputs in sets.values():
            yield {
                name: value.to(device, dtype if value.is_floating_point() else None) for name, value in inputs.items()
            }
    if main == "input_ids":
        # A model that chooses among texts takes all of a row at once, and fails on rows of one.
        ids = _make_ids(model, sizes, ROWS * TOGETHER, LENGTHS[0])
        yield {main: ids.view(ROWS, TOGETHER, -1).to(device)}


def _make_input(name: str, model: nn.Module, sizes: Mapping[str, Any], rows: int, wish: int) -> Tensor:
    if "pixel" in name:
        return _make_pixels(model, sizes, rows, wish)
    if name == "bbox":
        return torch.zeros(rows, LENGTHS[wish], 4, dtype=torch.long)
    is_wave = any(isinstance(module, nn.Conv1d) and module.in_channels == 1 for module in model.modules())
    if name in ("input_values", "inputs") and is_wave:
        waves = torch.linspace(-1, 1, rows * SAMPLES[min(wish, 1)]).view(rows, -1)
        return waves[:, None] if wish == 2 else waves
    if name in ("input_values", "input_features", "audio_values"):
        return _make_spectrogram(sizes, rows, wish)
    return _make_ids(model, sizes, rows, LENGTHS[wish])


def _make_ids(model: nn.Module, sizes: Mapping[str, Any], rows: int, length: int) -> Tensor:
    tables = [module.num_embeddings for module in model.modules() if isinstance(module, nn.Embedding)]
    entries = sizes.get("vocab_size") or max(tables, default=8)
    special = {number for key, number in sizes.items() if str(key).endswith("_token_id") and isinstance(number, int)}
    plain = [number for number in range(min(entries, 1000)) if number not in special and number > 2] or [1]
    ids = torch.tensor([plain[i % len(plain)] for i in range(rows * length)]).view(rows, length)
    end = sizes.get("eos_token_id")
    end = end[0] if isinstance(end, list) and end else end
    if isinstance(end, int) and 0 <= end < entries:
        ids[:, -1] = end
    return ids


def _make_pixels(model: nn.Module, sizes: Mapping[str, Any], rows: int, wish: int) -> Tensor:
    # A timm model states its size in the layer that cuts the picture into patches, if it matters.
    stated = [size for module in model.modules() if (size := module.__dict__.get("img_size"))]
    stated += [size for key in SIDE_KEYS if (size := sizes.get(key))]
    stated += [(sizes["pretrained_cfg"]["input_size"][-2:])] if wish and "pretrained_cfg" in sizes else []
    wished = [SIDES[0], *stated[-1:], SIDES[1]] if not stated or wish else stated
    size = wished[min(wish, len(wished) - 1)]
    height, width = size[-2:] if isinstance(size, list | tuple) else (size, size)
    channels = sizes.get("num_channels") or sizes.get("in_chans") or sizes.get("in_channels") or 3
    return torch.linspace(-1, 1, rows * channels * height * width).view(rows, channels, height, width)


def _make_spectrogram(sizes: Mapping[str, Any], rows: int, wish: int) -> Tensor:
    stated = [sizes[key] for key in BINS_KEYS if isinstance(sizes.get(key), int)] or [80]
    bins = stated[wish % len(stated)]
    frames = sizes.get("max_length") if "patch_size" in sizes else None
    shape = (frames or FRAMES[min(wish, 1)], bins)
    if wish == 0 and "max_source_positions" in sizes:
        shape = (bins, 2 * sizes["max_source_positions"])  # Whisper's has the bins first and the length it was made for
    return torch.linspace(-1, 1, rows * shape[0] * shape[1]).view(rows, *shape)


def _sizes_of(model: nn.Module) -> dict[str, Any]:
    """All settings of the configuration in one dict; where parts have one of their own, the outermost counts."""
    if model_type_of(model) is None:
        return {}
    config = model.config.to_dict()
    found, parts = {}, [config]
    while parts:
        part = parts.pop(0)
        parts += [value for key, value in part.items() if isinstance(value, dict) and key not in NO_PARTS]
        found = {key: value for key, value in part.items() if value is not None} | found
    if "timm_wrapper" == config.get("model_type"):
        found["pretrained_cfg"] = dict(model.timm_model.pretrained_cfg)
        found.pop("image_size", None)
        found.pop("input_size", None)
    return found
