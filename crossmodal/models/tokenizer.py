"""Sentences to token ids. Only `tokenizers` is needed to run a trained model; `transformers` only to start from one.

Shapes: B sentences, L tokens of the longest.
"""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from crossmodal.errors import CheckpointError, InputError, WeightsError
from crossmodal.models.words import Word, words_of

if TYPE_CHECKING:
    from torch import Tensor

PAD, UNKNOWN = "[PAD]", "[UNK]"
LETTERS = string.ascii_lowercase + string.digits + " -'"


class TextTokenizer:
    """A fast tokeniser with its longest length in tokens; saved as one `tokenizer.json`."""

    def __init__(self, definition: str, max_length: int = 64) -> None:
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_str(definition)
        self._tokenizer.enable_truncation(max_length)
        self._pad: int = self._id_of(PAD, "<pad>") or 0
        self._unknown = self._id_of(UNKNOWN, "<unk>")
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
    def of_words(cls, texts: Iterable[str], max_length: int = 100) -> TextTokenizer:
        """Every word of texts (of the training split only), the most frequent first; another word is [UNK].

        Lower-cased; apostrophes vanish, whatever else is no letter and no digit parts words. No special ends.
        """
        from tokenizers import Regex, normalizers, pre_tokenizers

        normal = normalizers.Sequence(
            [
                normalizers.NFKC(),
                normalizers.Lowercase(),
                normalizers.Replace(Regex("['’`]"), ""),
                normalizers.Replace(Regex(r"[^\p{L}\p{M}\p{N}]+"), " "),
            ]
        )
        counts = Counter(word for text in texts for word in normal.normalize_str(text).split())
        words = sorted(counts, key=lambda word: (-counts[word], word))
        return cls(_whole_words(words, normal, pre_tokenizers.WhitespaceSplit()), max_length)

    @classmethod
    def of_letters(cls, max_length: int = 12) -> TextTokenizer:
        """Single letters: a to z, digits, space, hyphen, apostrophe; capitals and accents folded, others are [UNK]."""
        from tokenizers import Regex, normalizers, pre_tokenizers

        normal = normalizers.Sequence(
            [
                normalizers.NFKD(),
                normalizers.StripAccents(),
                normalizers.Lowercase(),
                normalizers.Replace("’", "'"),
                normalizers.Replace(Regex(r"\s+"), " "),
                normalizers.Strip(),
            ]
        )
        return cls(_whole_words(LETTERS, normal, pre_tokenizers.Split(Regex("."), "isolated")), max_length)

    @classmethod
    def of_labels(cls, labels: Iterable[str]) -> TextTokenizer:
        """Each label is one token, in the order given; any other text is [UNK].

        Capitals and spare spaces do not matter; where two labels differ by capitals alone ("A", "a"), capitals do.

        Raises InputError if there is no label, or one that is empty.
        """
        from tokenizers import Regex, normalizers

        spaces = [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()]
        exact = normalizers.Sequence(spaces)
        folding = normalizers.Sequence([*spaces, normalizers.Lowercase()])
        names = list(dict.fromkeys(exact.normalize_str(label) for label in labels))
        if not names or not all(names):
            raise InputError(f"labels must be at least one, none of them empty, not {names}")
        folded = list(dict.fromkeys(folding.normalize_str(name) for name in names))
        if len(folded) == len(names):
            return cls(_whole_words(folded, folding), max_length=1)
        return cls(_whole_words(names, exact), max_length=1)

    @classmethod
    def load(cls, path: Path, max_length: int) -> TextTokenizer:
        """Read a `tokenizer.json`. Raises CheckpointError if it is absent or broken."""
        try:
            return cls(path.read_text("utf-8"), max_length)
        except Exception as error:  # the tokenizers library raises bare Exception for a broken file
            raise CheckpointError(f"cannot read the tokeniser {path}", str(error)) from error

    def save(self, path: Path) -> None:
        """Write the `tokenizer.json`."""
        path.write_text(self._tokenizer.to_str(pretty=False), "utf-8")

    def tokens(self, text: str) -> list[str]:
        """The pieces of one sentence, special ones included, as the model sees them."""
        return list(self._tokenizer.encode(text).tokens)

    def words(self, text: str) -> tuple[Word, ...]:
        """The words of one sentence as the model sees it, in order, each with its tokens; see `words_of`."""
        return words_of(self._tokenizer.encode(text), text)

    def unread(self, text: str) -> str:
        """The end of a sentence that is cut off since it has too many tokens; empty where all is read."""
        encoding = self._tokenizer.encode(text)
        read = max((end for _, end in encoding.offsets), default=0)
        return text[read:].strip() if encoding.overflowing else ""

    def knows(self, text: str) -> bool:
        """Whether the model sees something of this text and no [UNK] in it."""
        ids = self._tokenizer.encode(text, add_special_tokens=False).ids
        return bool(ids) and self._unknown not in ids

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each sentence, special tokens included, cut at max_length, not padded."""
        return [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]

    def pad(self, ids: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """Ragged ids → ids (B, L) and mask (B, L) of ones where a token stands, both int64; L is at least 1."""
        import torch

        padded, mask = self.padded(ids)
        return torch.from_numpy(padded), torch.from_numpy(mask)

    def padded(self, ids: Sequence[Sequence[int]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """What `pad` gives, as arrays and without torch."""
        longest = max(1, *(len(row) for row in ids))
        padded = np.full((len(ids), longest), self._pad, dtype=np.int64)
        mask = np.zeros((len(ids), longest), dtype=np.int64)
        for number, row in enumerate(ids):
            padded[number, : len(row)] = row
            mask[number, : len(row)] = 1
        return padded, mask

    @property
    def vocabulary_size(self) -> int:
        """Number of pieces, special ones included."""
        return int(self._tokenizer.get_vocab_size())

    def _id_of(self, *names: str) -> int | None:
        numbers = (self._tokenizer.token_to_id(name) for name in names)
        return next((int(number) for number in numbers if number is not None), None)


def tokenizer_for(text_model: str, texts: Iterable[str], max_length: int = 64) -> TextTokenizer:
    """The tokeniser that belongs to a text model, by the model's name.

    texts: of the training split only; all labels for "labels". They matter to "tiny", "gru", "bilstm" and "labels".

    Raises WeightsError if a pretrained one cannot be had.
    """
    if text_model == "letters":
        return TextTokenizer.of_letters(max_length)
    if text_model == "labels":
        return TextTokenizer.of_labels(texts)
    if text_model in {"gru", "bilstm"}:
        return TextTokenizer.of_words(texts, max_length)
    if text_model == "tiny":
        return TextTokenizer.trained_on(texts, max_length=max_length)
    return TextTokenizer.pretrained(text_model, max_length)


def _whole_words(words: Iterable[str], normal: Any, parts: Any = None) -> str:
    """Definition of a tokeniser whose pieces are the given words and nothing smaller."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel

    vocabulary = {piece: number for number, piece in enumerate([PAD, UNKNOWN, *words])}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token=UNKNOWN))
    tokenizer.normalizer = normal
    if parts is not None:
        tokenizer.pre_tokenizer = parts
    return str(tokenizer.to_str())
