"""The common part of codecs whose model predicts the next token: windows, packed rows, the loss, and likelihoods."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import torch
from accelerate.utils import is_compiled_module
from datasets import Dataset
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers import PreTrainedTokenizerBase as Tokenizer

from hfkit.contract.codec import Batch, Output
from hfkit.contract.target import Nothing
from hfkit.data.batches import columns_of
from hfkit.data.notes import tell
from hfkit.data.text.packing import Part, cut_windows, measure, pack
from hfkit.data.text.padding import padding_multiple
from hfkit.data.text.token_columns import lists_of
from hfkit.data.text.tokenizers import limit_to_positions, load_tokenizer, refuse_other_vocabulary
from hfkit.errors import UserError
from hfkit.model.weights import read_config
from hfkit.progress import hide_records
from hfkit.tasks.checkpoint_codec import CheckpointCodec
from hfkit.tasks.language.isolation import cacheless, isolates_documents, refuse_two_way, refuse_virtual_tokens
from hfkit.tasks.language.judges import Likelihood
from hfkit.tasks.language.likelihoods import Likelihoods, gives_logits_last
from hfkit.tasks.losses import IGNORED

LONGEST_ROW = 1024  # tokens; attention is quadratic in it
INPUTS = ("input_ids", "attention_mask", "position_ids")


class Document(NamedTuple):
    """The tokens of a row, or of a part of it that is read by itself."""

    row: int
    ids: list[int]
    counted: Sequence[bool]  # whether a token is to be predicted; the first one never is


class CausalCodec(CheckpointCodec, ABC):
    """A tokenizer and a model that predicts the next token.

    A place in a row of inputs has its own next token as label, so that nothing is shifted later. Documents share rows
    of training where the model keeps them apart (see `isolation`); each place has its position within its document. For
    evaluation every window has a row of its own: rows are sorted by length there, and its numbers do not depend on its
    neighbours.

    Args:
        checkpoint: as the user named it.
        path: the folder or Hub id that it stands for.
        head_config: the entries for the head in the model's configuration.
        max_length: tokens that are read at once; None: what the model can read, at most `LONGEST_ROW`.
        stride: tokens that a window has in common with the one before it, as context; None: a quarter of the window.

    Raises:
        UserError: there is no tokenizer, or it cannot be used.
    """

    auto_model = AutoModelForCausalLM
    target = Nothing()
    may_cut = True  # a document may be continued in another row of training, to fill it
    splits_marks = True  # special tokens in a text are read as plain text

    def __init__(
        self,
        checkpoint: str,
        path: str,
        head_config: Mapping[str, Any],
        *,
        max_length: int | None = None,
        stride: int | None = None,
    ) -> None:
        super().__init__(checkpoint, path, head_config)
        self.max_length, self.stride = max_length, stride
        self.label_smoothing = 0.0
        self.keywords: dict[str, Any] = {}  # of a forward pass
        self.narrows = False  # whether likelihoods are computed in place of logits
        self.packs: bool | None = None  # whether documents share rows; None: no model was tried yet
        self.processor: Tokenizer = self._load_tokenizer()
        self.collate = PackedRows(self.processor)

    def _load_tokenizer(self) -> Tokenizer:
        tokenizer = load_tokenizer(self.path, self.checkpoint, split_special_tokens=self.splits_marks)
        config = read_config(self.path)
        refuse_other_vocabulary(tokenizer, config, self.checkpoint)
        limit_to_positions(tokenizer, config)
        return tokenizer

    @property
    def start(self) -> int:
        """The token before a text, from which its first token is predicted."""
        known = self.processor
        tokens = (known.bos_token_id, known.eos_token_id, known.pad_token_id)
        return next(token for token in tokens if token is not None)

    def model(self, *, pretrained: bool = True, finished: bool = False, blocks: Sequence[str] = ()) -> PreTrainedModel:
        """The stock model; whether it keeps documents in one row apart is tried on it, and remembered.

        Raises:
            UserError: see `Codec.model`; also a model that reads in both directions.
        """
        # A row of documents begins with the token for padding where that is the end token, and has no mask.
        # transformers warns of that once: here, unheard.
        with hide_records("transformers.modeling_utils", "recommend passing in an `attention_mask`"):
            model = super().model(pretrained=pretrained, finished=finished, blocks=blocks)
            # Generation pads with it, and the trainer would set it later.
            model.config.get_text_config().pad_token_id = model.config.pad_token_id = self.processor.pad_token_id
            self.keywords = cacheless(model)
            self.narrows = gives_logits_last(model)
            refuse_two_way(model, self.name_source(finished=finished), self.processor.pad_token_id)
            if not finished:
                self.packs = isolates_documents(model)
        return model

    # Rows to batches

    def window(self) -> tuple[int, int]:
        """The number of tokens that are read at once, and the number that two windows have in common.

        Raises:
            UserError: `max_length` or `stride` do not fit the model.
        """
        limit = self.processor.model_max_length
        room = min(limit, LONGEST_ROW) if self.max_length is None else self.max_length
        if not 1 < room <= limit:
            raise UserError(
                f"max_length {room}",
                f"a row holds two tokens or more, and at most the {limit} that the model reads",
                "Set --max_length between them, or leave it out",
            )
        stride = room // 4 if self.stride is None else self.stride
        if not 0 <= stride < room:
            raise UserError(
                f"stride {stride}",
                f"two windows share fewer tokens than the {room} that one holds",
                "Set a smaller --stride, or leave it out",
            )
        return room, stride

    def lay_out(self, documents: Sequence[Document], split: str, *, together: bool, shared: int) -> Dataset:
        """Encoded rows of some documents, in the order of their rows.

        Args:
            together: several documents may share a row, if the model keeps them apart.
            shared: tokens that two windows of one document have in common.
        """
        room, _ = self.window()
        pieces = [piece for one in documents for piece in cut_document(one, room, shared)]
        if not together:
            return to_rows(pieces)
        if self.packs is None:
            self.model(pretrained=False)
        if not self.packs:
            tell(f"{split}: one document a row, for the model would see one from another in a row of several")
            return to_rows(pieces)
        rows = pack([len(piece.ids) for piece in pieces], room, may_cut=self.may_cut)
        encoded = to_packed_rows(pieces, rows)
        parts = sum(map(len, rows))
        whole = f"{len(pieces):,} pieces of documents" if parts == len(pieces) else f"documents in {parts:,} pieces"
        empty = self.facts(encoded)["empty_share"]
        tell(f"{split}: {whole} are packed into {len(rows):,} rows of {room:,} tokens, {empty:.1%} of them empty")
        return encoded

    @abstractmethod
    def encode(self, rows: Dataset, *, split: str, answers: bool) -> Dataset: ...

    def facts(self, encoded: Dataset) -> dict[str, Any]:
        """The numbers of tokens that are predicted, and of rows; with packing also the share that stays empty."""
        (labels,) = columns_of(encoded, ["labels"])
        counted = int((labels.values.to_numpy() != IGNORED).sum())
        tokens = len(labels.values)
        found = {"predicted_tokens": counted, "tokens": tokens, "encoded_rows": len(encoded)}
        if "filled" in encoded.column_names:
            filled = sum(encoded["filled"][:])
            found |= {"tokens": filled, "empty_share": 1 - filled / tokens}
        return found

    def inputs(self, batch: Batch) -> dict[str, Tensor]:
        return {name: batch[name] for name in INPUTS if name in batch}

    # The loss

    def fit_loss(self, encoded: Dataset, *, label_smoothing: float = 0.0) -> None:
        self.label_smoothing = label_smoothing

    def count_targets(self, batch: Batch) -> int:
        return int((batch["labels"] != IGNORED).sum())

    def loss(self, model: nn.Module, batch: Batch, items: Tensor | int | None = None) -> tuple[Tensor, Output]:
        """Cross-entropy of the next token, over every target of the optimizer step.

        Raises:
            UserError: virtual tokens stand before the rows.
        """
        refuse_virtual_tokens(model)
        output = self.weigh(model, batch)
        total = output["nats"][..., 0].sum()
        count = self.count_targets(batch) if items is None else items
        return total / torch.as_tensor(count).clamp(min=1), output

    def weigh(self, model: nn.Module, batch: Batch) -> Output:
        """`nats` of a batch, (batch, tokens, 1 or 2): see `Likelihoods`."""
        wanted = Likelihoods(batch["labels"], len(self.processor), self.label_smoothing)
        if not self.narrows or is_compiled_module(model):  # what is compiled is not looked into
            return {"nats": wanted.read(model(**self.inputs(batch), **self.keywords))}
        with wanted.replace_logits(model):
            return {"nats": model(**self.inputs(batch), **self.keywords)["logits"]}

    # Outputs

    def logits(self, output: Output, batch: Batch) -> Tensor:
        """The logits of every place with a label, (places, vocabulary); behind `loss` likelihoods instead."""
        return output["nats" if "nats" in output else "logits"][batch["labels"] != IGNORED]

    def outputs(self, model: nn.Module, batch: Batch, known: Output | None = None) -> dict[str, Tensor]:
        """`nats`: minus the logarithm of the probability of each piece's tokens, (batch, pieces in a row)."""
        if known is None:
            known = self.weigh(model, batch)
        nats = known["nats"] if "nats" in known else Likelihoods(batch["labels"], len(self.processor)).read(known)
        return {"nats": sum_by_piece(nats[..., -1], batch)}

    def decode(self, outputs: Mapping[str, np.ndarray], encoded: Dataset) -> list[Likelihood]:
        """How likely the text of every row is."""
        owners, tokens = list_pieces(encoded)
        counts = count_values(encoded, "pieces") if "pieces" in encoded.column_names else np.ones(len(encoded), int)
        nats = np.concatenate([of_row[:count] for of_row, count in zip(outputs["nats"], counts, strict=True)])
        rows = int(owners.max(initial=-1)) + 1
        sums, counted = np.bincount(owners, nats, rows), np.bincount(owners, tokens, rows)
        return [
            Likelihood(nats=float(one), tokens=int(many), answer=None) for one, many in zip(sums, counted, strict=True)
        ]


class Piece(NamedTuple):
    """A window of a document: inputs, and the next token of each where it is to be predicted."""

    row: int
    ids: list[int]
    labels: list[int]


def cut_document(document: Document, room: int, shared: int) -> list[Piece]:
    """The windows of a document. Those without a label are left out, except the first of all."""
    row, ids, counted = document
    labels = [token if counts else IGNORED for token, counts in zip(ids[1:], counted[1:], strict=True)] or [IGNORED]
    pieces = []
    for window in cut_windows(len(labels), room, shared):
        own = [IGNORED] * window.known + labels[window.start + window.known : window.end]
        pieces.append(Piece(row, ids[window.start : window.end], own))
    return [piece for piece in pieces if any(label != IGNORED for label in piece.labels)] or pieces[:1]


def to_rows(pieces: Sequence[Piece]) -> Dataset:
    """A row for each piece."""
    lengths = [len(piece.ids) for piece in pieces]
    columns = {
        "row": pa.array([piece.row for piece in pieces], pa.int32()),
        "input_ids": join([piece.ids for piece in pieces], lengths),
        "labels": join([piece.labels for piece in pieces], lengths),
    }
    return Dataset(pa.table(columns))


def to_packed_rows(pieces: Sequence[Piece], rows: Sequence[Sequence[Part]]) -> Dataset:
    """A row for several pieces each, all of them equally wide: a batch of them needs no padding of its own.

    Every token has its position in its piece; what stays empty is one more piece, without labels. A row also has the
    number of tokens that are `filled`, and of each piece the row of the dataset that it belongs to (`pieces`).
    """
    widths = [measure(row) for row in rows]
    width = max(widths)
    ids, labels, places = (np.full((len(rows), width), filling) for filling in (0, IGNORED, 0))
    for number, row in enumerate(rows):
        at = 0
        for part in row:
            length, own = part.end - part.start, slice(part.start, part.end)
            ids[number, at : at + length] = pieces[part.piece].ids[own]
            labels[number, at : at + length] = pieces[part.piece].labels[own]
            places[number, at : at + length] = np.arange(length)
            at += length
        places[number, at:] = np.arange(width - at)
    owners = np.array([pieces[part.piece].row for row in rows for part in row])
    equal = np.full(len(rows), width)
    columns = {
        "row": pa.array([pieces[row[0].piece].row for row in rows], pa.int32()),
        "filled": pa.array(widths, pa.int32()),
        "input_ids": lists_of(ids.ravel(), equal),
        "labels": lists_of(labels.ravel(), equal),
        "position_ids": lists_of(places.ravel(), equal),
        "pieces": lists_of(owners, np.array([len(row) for row in rows])),
    }
    return Dataset(pa.table(columns))


def join(parts: Sequence[Sequence[int]], lengths: Sequence[int]) -> pa.ListArray:
    """Numbers one after the other as lists of these lengths."""
    return lists_of(np.concatenate([np.asarray(part, dtype=np.int32) for part in parts]), np.array(lengths))


def count_values(encoded: Dataset, column: str) -> np.ndarray:
    """The number of values in every list of a column, (rows,)."""
    return np.diff(columns_of(encoded, [column])[0].offsets.to_numpy(zero_copy_only=False))


def list_pieces(encoded: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Of every piece the row that it belongs to, and its predicted tokens, (pieces,) each, in order."""
    (labels,) = columns_of(encoded, ["labels"])
    counted = np.concatenate([[0], np.cumsum(labels.values.to_numpy() != IGNORED)])
    ends = labels.offsets.to_numpy(zero_copy_only=False)
    if "position_ids" not in encoded.column_names:
        (row,) = columns_of(encoded, ["row"])
        return row.to_numpy(), np.diff(counted[ends])
    places, pieces, filled = columns_of(encoded, ["position_ids", "pieces", "filled"])
    starts = np.flatnonzero(places.values.to_numpy() == 0)
    tokens = np.diff(counted[np.append(starts, len(counted) - 1)])
    empty = (ends[:-1] + filled.to_numpy())[filled.to_numpy() < np.diff(ends)]  # where the rest of a row begins
    return pieces.values.to_numpy(), tokens[~np.isin(starts, empty)]


def sum_by_piece(nats: Tensor, batch: Batch) -> Tensor:
    """The sum over the places of each piece, (batch, tokens) -> (batch, pieces)."""
    if "position_ids" not in batch:
        return nats.sum(1, keepdim=True)
    piece = (batch["position_ids"] == 0).cumsum(1) - 1  # (batch, tokens)
    return nats.new_zeros(len(nats), int(piece.max()) + 1).scatter_add_(1, piece, nats)


class PackedRows:
    """Encoded rows -> a batch, padded on the right, where a model that reads from left to right sees nothing of it.

    Rows of several documents have `position_ids` and no mask: where positions start again, a document begins.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.filling, self.longest, self.multiple = tokenizer.pad_token_id, tokenizer.model_max_length, None

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        if self.multiple is None:
            self.multiple = padding_multiple()
        lengths = [len(row["input_ids"]) for row in rows]
        width = -(-max(lengths) // self.multiple) * self.multiple
        width = int(max(max(lengths), min(width, self.longest)))
        batch = {"input_ids": fill(rows, "input_ids", width, self.filling)}
        if "labels" in rows[0]:
            batch["labels"] = fill(rows, "labels", width, IGNORED)
        if "position_ids" in rows[0]:
            batch["position_ids"] = fill(rows, "position_ids", width, 0)
        else:
            batch["attention_mask"] = (torch.arange(width) < torch.tensor(lengths)[:, None]).long()
        return batch


def fill(rows: Sequence[Mapping[str, Any]], name: str, width: int, filling: int) -> Tensor:
    """A column of lists as one tensor, (rows, width), padded on the right."""
    padded = np.full((len(rows), width), filling, dtype=np.int64)
    for places, row in zip(padded, rows, strict=True):
        places[: len(row[name])] = row[name]
    return torch.from_numpy(padded)
