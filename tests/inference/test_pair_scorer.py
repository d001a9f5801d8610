from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from crossmodal.errors import CheckpointError, InputError
from crossmodal.images.transforms import ImageTransform
from crossmodal.inference.pair_scorer import Scorer, open_scorer
from crossmodal.models.checkpoint import load_checkpoint, model_config, save_checkpoint
from crossmodal.models.checkpoint_files import fingerprint
from crossmodal.models.dual import CrossModalModel
from crossmodal.models.encoders import ImageEncoder
from crossmodal.models.heads import MatchHead
from crossmodal.models.scorer import PairScorer
from crossmodal.models.text_towers import RecurrentEncoder
from crossmodal.models.tokenizer import TextTokenizer

SENTENCES = ["a dog", "two red cars on a road", "a dog runs on a beach"]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pair scorer with random weights that is far from undecided."""
    torch.manual_seed(0)
    tokenizer = TextTokenizer.of_words(SENTENCES)
    text = RecurrentEncoder("bilstm", tokenizer.vocabulary_size, 5, 6, (10, 12))
    model = PairScorer(ImageEncoder("digit_cnn", 6), text, MatchHead(6, 5)).eval()
    with torch.no_grad():
        model.head.logit.weight *= 30
    transform = ImageTransform.in_range(28, "unit")
    path = tmp_path_factory.mktemp("checkpoints") / "judge"
    save_checkpoint(path, model.state_dict(), tokenizer, model_config(model, "digit_cnn", tokenizer, transform))
    return path


@pytest.fixture(scope="module")
def scorer(checkpoint: Path) -> Scorer:
    return open_scorer(str(checkpoint))


def images(count: int) -> list[Image.Image]:
    rng = np.random.default_rng(0)
    return [Image.fromarray(rng.integers(0, 256, (20 + row, 30, 3), dtype=np.uint8)) for row in range(count)]


def test_a_probability_is_the_sigmoid_of_its_own_pair(scorer: Scorer, checkpoint: Path):
    loaded, pictures = load_checkpoint(checkpoint), images(3)
    pixels = torch.from_numpy(np.stack([loaded.transform.pixels(image) for image in pictures]))
    expected = []
    with torch.no_grad():
        for row, sentence in enumerate(SENTENCES):
            ids, mask = loaded.tokenizer.pad(loaded.tokenizer.ids([sentence]))
            expected.append(float(loaded.model(loaded.transform.normalise(pixels[row : row + 1]), ids, mask).sigmoid()))
    found = scorer.probabilities(pictures, SENTENCES)
    assert (found.shape, found.dtype) == ((3,), np.float32)
    assert found.tolist() == pytest.approx(expected, abs=1e-5)
    assert np.ptp(found) > 0.01


def test_every_picture_with_every_sentence_encodes_each_once(scorer: Scorer, monkeypatch: pytest.MonkeyPatch):
    encoded: list[int] = []
    for name in ("image_sides", "text_sides"):
        compute = getattr(scorer._model, name)
        monkeypatch.setattr(
            scorer._model,
            name,
            lambda items, *more, compute=compute: (encoded.append(len(items)), compute(items, *more))[1],
        )
    pictures = images(2)
    pairs = [(image, sentence) for sentence in SENTENCES for image in pictures]
    together = scorer.probabilities([image for image, _ in pairs], [sentence for _, sentence in pairs])
    assert encoded == [2, 3]
    alone = [scorer.probabilities([image], [sentence])[0] for image, sentence in pairs]
    assert together.tolist() == pytest.approx(alone, abs=1e-5)


def test_sides_are_kept_and_judged_later(scorer: Scorer):
    pictures = images(3)
    seen = scorer.picture_sides(np.stack([scorer.preprocess(image) for image in pictures]))
    read = scorer.sentence_sides(SENTENCES)
    assert (seen.shape, read.shape) == ((3, 6), (3, 5))
    assert np.allclose(scorer.judge(seen, read), scorer.probabilities(pictures, SENTENCES), atol=1e-6)


def test_no_pair_gives_no_probability(scorer: Scorer):
    found = scorer.probabilities([], [])
    assert (found.shape, found.dtype) == ((0,), np.float32)


def test_words_never_seen_are_judged_all_the_same(scorer: Scorer):
    found = scorer.probabilities(images(2), ["xylophone", "!!!"])
    assert bool(((found >= 0) & (found <= 1)).all())


@pytest.mark.parametrize(
    ("texts", "message"), [(["a dog"], "2 pictures and 1 sentences"), (["a dog", " \n"], "the sentence is empty")]
)
def test_what_makes_no_pairs_is_refused(scorer: Scorer, texts: list[str], message: str):
    with pytest.raises(InputError, match=message):
        scorer.probabilities(images(2), texts)


def test_a_scorer_has_the_name_and_the_fingerprint_of_its_checkpoint(scorer: Scorer, checkpoint: Path):
    assert (scorer.name, scorer.path, scorer.fingerprint) == ("judge", checkpoint, fingerprint(checkpoint))


def test_a_model_of_vectors_is_no_scorer(tmp_path: Path):
    torch.manual_seed(0)
    tokenizer = TextTokenizer.of_words(SENTENCES)
    model = CrossModalModel(
        ImageEncoder("digit_cnn", 5), RecurrentEncoder("gru", tokenizer.vocabulary_size, 5, 6, (10,))
    )
    config = model_config(model, "digit_cnn", tokenizer, ImageTransform(28))
    save_checkpoint(tmp_path / "dual", model.state_dict(), tokenizer, config)
    with pytest.raises(InputError, match=r"gives vectors, not probabilities .*--recipe match"):
        open_scorer(tmp_path / "dual")
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        open_scorer(tmp_path / "absent")
