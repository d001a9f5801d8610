"""The tokenisers of our own text towers: words, letters, labels."""

from __future__ import annotations

from pathlib import Path

import pytest

from crossmodal.errors import InputError
from crossmodal.models.tokenizer import TextTokenizer, tokenizer_for

PAD, UNKNOWN = 0, 1
OWN = {
    "words": TextTokenizer.of_words(["A dog runs.", "the dog's ball"]),
    "letters": TextTokenizer.of_letters(),
    "labels": TextTokenizer.of_labels(["T-shirt/top", "Ankle boot"]),
}


def test_words_are_lower_cased_and_cleaned_and_the_frequent_come_first():
    tokenizer = TextTokenizer.of_words(["A dog's DOG dog!", "a dog, a t-shirt & 2 cafés"])
    assert tokenizer.ids(["a dog 2 cafés dogs shirt t"]) == [[2, 3, 4, 5, 6, 7, 8]]
    assert tokenizer.tokens("  The DOG’s t-shirt?! ") == ["[UNK]", "dogs", "t", "shirt"]
    assert tokenizer.vocabulary_size == 9


def test_sentences_of_other_scripts_keep_their_words():
    tokenizer = TextTokenizer.of_words(["Собака бежит", "कुत्ता दौड़ता"])
    assert tokenizer.tokens("собака, कुत्ता!") == ["собака", "कुत्ता"]


def test_a_word_of_no_training_text_is_unknown_and_long_sentences_are_cut():
    tokenizer = TextTokenizer.of_words(["a b c d"], max_length=3)
    assert tokenizer.ids(["a zebra b c d"]) == [[2, UNKNOWN, 3]]


def test_letters_fold_capitals_and_accents():
    tokenizer = TextTokenizer.of_letters(max_length=6)
    assert tokenizer.ids(["DÍEZ", " diez "]) == tokenizer.ids(["diez"]) * 2
    assert tokenizer.tokens("Nº 3三") == ["n", "o", " ", "3", "[UNK]"]
    assert len(tokenizer.ids(["fourteen"])[0]) == 6
    assert tokenizer.vocabulary_size == 2 + 26 + 10 + 3


def test_a_label_is_exactly_one_token_in_the_order_given():
    tokenizer = OWN["labels"]
    assert tokenizer.ids(["T-shirt/top", " ankle  BOOT "]) == [[2], [3]]
    assert tokenizer.ids(["ankle", "ankle boots"]) == [[UNKNOWN], [UNKNOWN]]


def test_labels_that_differ_by_capitals_alone_stay_apart():
    tokenizer = TextTokenizer.of_labels(["A", "a", "B"])
    assert tokenizer.ids(["A", " a", "B", "b"]) == [[2], [3], [4], [UNKNOWN]]


@pytest.mark.parametrize("labels", [[], ["cat", "  "]])
def test_labels_must_be_there(labels: list[str]):
    with pytest.raises(InputError, match="at least one, none of them empty"):
        TextTokenizer.of_labels(labels)


@pytest.mark.parametrize(
    ("kind", "known", "unknown"),
    [("words", "a ball", "a cat"), ("letters", "Tres 3", "三"), ("labels", "ankle boot", "ankle")],
)
def test_a_tokenizer_says_what_it_knows(kind: str, known: str, unknown: str):
    assert OWN[kind].knows(known)
    assert not OWN[kind].knows(unknown)
    assert not OWN[kind].knows("  ")


def test_a_sentence_of_special_ends_alone_is_not_known():
    tokenizer = TextTokenizer.trained_on(["a dog"])
    assert tokenizer.knows("dog")
    assert not tokenizer.knows("")
    assert not tokenizer.knows("☃")


@pytest.mark.parametrize("kind", OWN)
def test_special_names_in_a_text_are_plain_text(kind: str):
    ids = OWN[kind].ids(["[PAD]"])[0]
    assert PAD not in ids
    assert ids  # not dropped either


@pytest.mark.parametrize("kind", OWN)
def test_saved_and_loaded_it_is_the_same(kind: str, tmp_path: Path):
    tokenizer, texts = OWN[kind], ["the dog's ball", "ANKLE  boot", "☃", ""]
    tokenizer.save(tmp_path / "tokenizer.json")
    loaded = TextTokenizer.load(tmp_path / "tokenizer.json", tokenizer.max_length)
    assert loaded.ids(texts) == tokenizer.ids(texts)
    assert loaded.vocabulary_size == tokenizer.vocabulary_size
    assert loaded.knows("☃") is tokenizer.knows("☃") is False


@pytest.mark.parametrize("kind", OWN)
def test_texts_without_a_token_pad_to_one_place(kind: str):
    assert OWN[kind].ids(["", " "]) == [[], []]
    ids, mask = OWN[kind].pad([[], []])
    assert ids.tolist() == [[PAD], [PAD]]
    assert mask.tolist() == [[0], [0]]


def test_the_same_texts_in_another_order_give_the_same_vocabulary():
    texts = ["b a", "c b", "d"]
    forwards, backwards = (TextTokenizer.of_words(order) for order in (texts, texts[::-1]))
    assert forwards.ids(["a b c d"]) == backwards.ids(["a b c d"])


def test_each_text_model_has_its_tokenizer():
    texts = ["Seven", "eight"]
    assert tokenizer_for("letters", texts, 12).tokens("Ei") == ["e", "i"]
    assert tokenizer_for("labels", texts).ids(["seven", "EIGHT"]) == [[2], [3]]
    assert tokenizer_for("gru", texts).tokens("eight 9") == tokenizer_for("bilstm", texts).tokens("eight 9")
    assert tokenizer_for("tiny", texts, 20).tokens("eight") == ["[CLS]", "eight", "[SEP]"]
    assert tokenizer_for("bilstm", texts, 100).max_length == 100
