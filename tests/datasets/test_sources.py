from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from crossmodal.datasets.sources import Source, Words
from crossmodal.errors import InputError

FORMS = Words(
    texts=("one", "eins", "uno", "two"),
    ids=([2], [3], [4], [5]),
    labels=np.array([0, 0, 0, 1]),
    withheld=np.array([False, False, True, False]),
)


def labelled(labels: list[int], balanced: bool = True) -> Source:
    captions = tuple(FORMS.of_label(min(label, 1)) for label in labels)
    pixels = np.zeros((len(labels), 3, 4, 4), np.uint8)
    return Source("digits", pixels, captions, labels=np.array(labels), words=FORMS, balanced=balanced)


def test_a_withheld_form_is_no_caption_to_train_on():
    assert FORMS.of_label(0) == ([2], [3])
    assert FORMS.of_label(1) == ([5],)
    assert FORMS.of_label(7) == ()


def test_captions_know_their_picture():
    source = Source("photos", np.zeros((3, 3, 4, 4), np.uint8), (([1],), ([2], [3, 4]), ([5],)))
    assert source.owner.tolist() == [0, 1, 1, 2]
    assert source.all_captions == [[1], [2], [3, 4], [5]]


def test_an_epoch_holds_every_picture_once_in_an_order_of_its_own():
    source, draw = labelled([0] * 9 + [1] * 3, balanced=False), np.random.default_rng(0)
    first, second = source.order(draw), source.order(draw)
    assert sorted(first) == sorted(second) == list(range(12))
    assert first.tolist() != second.tolist()


def test_balanced_every_label_comes_equally_often():
    labels = [0] * 9 + [1] * 3
    order = labelled(labels).order(np.random.default_rng(0))
    seen = Counter(order.tolist())
    assert len(order) == 12
    assert [sum(count for row, count in seen.items() if labels[row] == label) for label in (0, 1)] == [6, 6]
    assert [seen[row] for row in (9, 10, 11)] == [2, 2, 2]  # the small class again and again, no picture left out
    assert max(seen[row] for row in range(9)) == 1  # the large one gives way, no picture twice


def test_balanced_labels_are_mixed_and_no_label_is_cut_short_in_the_long_run():
    labels = [0] * 7 + [1] * 2 + [5]  # ten rows do not divide among three labels
    source, draw = labelled(labels), np.random.default_rng(0)
    drawn = np.array(labels)[np.stack([source.order(draw) for _ in range(600)])]
    assert drawn.shape == (600, 10)
    assert {len(set(first)) for first in drawn[:, 0].reshape(6, 100)} == {3}
    counts = np.stack([(drawn == label).sum(1) for label in (0, 1, 5)])
    assert counts.min() >= 2
    assert counts.max() <= 4
    assert counts.mean(1).tolist() == pytest.approx([10 / 3] * 3, abs=0.15)


def test_balanced_means_nothing_without_labels():
    source = Source("photos", np.zeros((5, 3, 4, 4), np.uint8), (([1],),) * 5, balanced=True)
    assert sorted(source.order(np.random.default_rng(0))) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("share", [0.0, -1.0, 1.5])
def test_a_share_of_nothing_or_of_more_than_all_is_refused(share: float):
    with pytest.raises(InputError, match=r"in \(0, 1\], not"):
        Source("photos", np.zeros((1, 3, 4, 4), np.uint8), (([1],),), share=share)


def test_labels_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="2 pictures but 3 labels"):
        Source("digits", np.zeros((2, 3, 4, 4), np.uint8), (([1],),) * 2, labels=np.zeros(3, np.int64))
