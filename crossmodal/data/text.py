"""Sentences to token ids. Only `tokenizers` is needed to run a trained model; `transformers` only to start from one.

Shapes: B sentences, L tokens of the longest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from crossmodal.errors import CheckpointError, WeightsError


class TextTokenizer:
    """A fast tokeniser with its longest length in tokens; saved as one `tokenizer.json`."""

    def __init__(self, definition: str, max_length: int = 64) -> None:
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_str(definition)
        self._tokenizer.enable_truncation(max_length)
        pad = next((name for name in ("[PAD]", "<pad>") if self._tokenizer.token_to_id(name) is not None), None)
        self._pad: int = (self._tokenizer.token_to_id(pad) if pad else None) or 0
        self._tokenizer.no_padding()
        self.max_length = max_length

    @classmethod
    def pretrained(cls, name: str, max_length: int = 64) -> TextTokenizer:
        """The tokeniser of a Hugging Face model, by name or folder.

        Raises WeightsError if it cannot be had.
        """
        from transformers import AutoTokenizer

        try:
            tokenizer = AutoTokenizer.from_pretrained(name)
        except (OSError, ValueError) as error:
            raise WeightsError(
                f"the tokeniser of text model {name!r} cannot be loaded ({type(error).__name__}): without a network, "
                "name a local folder with --text-model PATH"
            ) from error
        return cls(tokenizer.backend_tokenizer.to_str(), max_length)

    @classmethod
    def trained_on(cls, texts: Iterable[str], size: int = 2000, max_length: int = 64) -> TextTokenizer:
        """A vocabulary of the most frequent words of texts (of the training split only), at most `size` pieces.

        Other words fall apart into letters. Words are counted here, since the library's own trainer orders equal
        counts differently in every process.
        """
        from tokenizers import BertWordPieceTokenizer
        from tokenizers.processors import BertProcessing

        plain = BertWordPieceTokenizer(lowercase=True)
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(
                word for word, _ in plain.pre_tokenizer.pre_tokenize_str(plain.normalizer.normalize_str(text))
            )
        letters = sorted({letter for word in counts for letter in word})
        pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *letters, *(f"##{letter}" for letter in letters)]
        words = sorted((word for word in counts if len(word) > 1), key=lambda word: (-counts[word], word))
        pieces += words[: max(0, size - len(pieces))]
        learned = BertWordPieceTokenizer({piece: number for number, piece in enumerate(pieces)}, lowercase=True)
        ends = {name: (name, pieces.index(name)) for name in ("[SEP]", "[CLS]")}
        learned.post_processor = BertProcessing(ends["[SEP]"], ends["[CLS]"])
        return cls(learned.to_str(), max_length)

    @classmethod
    def load(cls, path: Path, max_length: int) -> TextTokenizer:
        """Read a `tokenizer.json`. Raises CheckpointError if it is absent or broken."""
        try:
            return cls(path.read_text("utf-8"), max_length)
        except Exception as error:  # the tokenizers library raises bare Exception for a broken file
            raise CheckpointError(f"cannot read the tokeniser {path}: {error}") from error

    def save(self, path: Path) -> None:
        """Write the `tokenizer.json`."""
        path.write_text(self._tokenizer.to_str(pretty=False), "utf-8")

    def tokens(self, text: str) -> list[str]:
        """The pieces of one sentence, special ones included, as the model sees them."""
        return list(self._tokenizer.encode(text).tokens)

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each sentence, special tokens included, cut at max_length, not padded."""
        return [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]

    def pad(self, ids: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """Ragged ids → ids (B, L) and mask (B, L) of ones where a token stands, both int64."""
        longest = max(len(row) for row in ids)
        padded = torch.full((len(ids), longest), self._pad, dtype=torch.int64)
        mask = torch.zeros((len(ids), longest), dtype=torch.int64)
        for number, row in enumerate(ids):
            padded[number, : len(row)] = torch.tensor(row)
            mask[number, : len(row)] = 1
        return padded, mask

    @property
    def vocabulary_size(self) -> int:
        """Number of pieces, special ones included."""
        return int(self._tokenizer.get_vocab_size())
