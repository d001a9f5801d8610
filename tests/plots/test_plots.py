"""What crossmodal/plots.py draws. Warnings are errors here, so a label no font can draw would fail a test."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from crossmodal.errors import InputError
from crossmodal.plots import clustered_heatmap, history_curves, save_figure, similarity_heatmap, similarity_matrix

AWKWARD = ["🐶 dogs", "كلب يركض", "狗在跑", "costs $5^2 and $", "<b>bold</b>", "a " * 80, "\u202eback\x00", "  "]


def rendered(figure: Figure) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def epoch(number: int, phase: str = "all", **values: Any) -> dict[str, Any]:
    recalls = {"R@1": 10.0 * number, "R@5": 11.0 * number, "R@10": 12.0 * number}
    report = {"image_to_text": recalls, "text_to_image": recalls, "rsum": 66.0 * number}
    return {"epoch": number, "phase": phase, "loss": 1.0 / number, **report, **values}


def test_few_cells_are_annotated_with_their_values():
    figure = similarity_heatmap(np.array([[0.25, -0.5]]), ["query"], ["a", "b"])
    assert [text.get_text() for text in figure.axes[0].texts] == ["0.25", "-0.50"]


def test_many_cells_are_left_bare():
    labels = [str(number) for number in range(20)]
    assert len(similarity_heatmap(np.eye(20), labels, labels).axes[0].texts) == 0


def test_labels_stand_at_their_rows_and_columns():
    axes = similarity_heatmap(np.zeros((2, 3)), ["r0", "r1"], ["c0", "c1", "c2"]).axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["r0", "r1"]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["c0", "c1", "c2"]


def test_any_script_markup_or_formula_is_drawn_as_text_without_a_warning():
    assert rendered(similarity_heatmap(np.eye(8), AWKWARD, AWKWARD, title="$broken^ 🐶")).startswith(b"\x89PNG")


def test_a_long_label_is_shortened_and_keeps_its_end():
    label = "folder/" * 20 + "picture-0123.jpg"
    shown = similarity_heatmap(np.zeros((1, 1)), ["q"], [label]).axes[0].get_xticklabels()[0].get_text()
    assert len(shown) <= 34
    assert shown.endswith("0123.jpg")


def test_the_heatmap_has_a_colour_bar_over_the_range_of_its_values():
    figure = similarity_heatmap(np.array([[0.1, 0.9]] * 4), ["q"] * 4, ["a", "b"])
    assert figure.axes[1].get_ylabel() == "cosine similarity"
    assert figure.axes[1].get_ylim() == pytest.approx((0.1, 0.9))


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.zeros((0, 2)), "at least one cell"),
        (np.zeros(3), "at least one cell"),
        (np.array([[np.nan]]), "not finite"),
        (np.zeros((2, 2)), "1 row and 1 column labels for a 2×2"),
    ],
)
def test_an_unusable_matrix_is_refused(matrix: Any, message: str):
    with pytest.raises(InputError, match=message):
        similarity_heatmap(matrix, ["a"], ["b"])


def test_results_that_are_alike_stand_side_by_side_and_queries_follow_their_order():
    likeness = np.array([[1, 0.1, 0.9, 0.0], [0.1, 1, 0.0, 0.8], [0.9, 0.0, 1, 0.1], [0.0, 0.8, 0.1, 1]])
    query = np.array([[0.1, 0.2, 0.3, 0.4]])
    _, above, below, _ = clustered_heatmap(likeness, list("abcd"), query, ["asked"]).axes
    order = [text.get_text() for text in below.get_yticklabels()]
    assert {frozenset(order[:2]), frozenset(order[2:])} == {frozenset("ac"), frozenset("bd")}
    assert [text.get_text() for text in below.get_xticklabels()] == order
    places = ["abcd".index(name) for name in order]
    drawn = np.asarray(below.collections[0].get_array()).reshape(4, 4)
    assert np.allclose(drawn, likeness[np.ix_(places, places)])
    assert np.asarray(above.collections[0].get_array()).ravel().tolist() == pytest.approx(query[0, places].tolist())
    assert [text.get_text() for text in above.get_yticklabels()] == ["asked"]


def test_the_tree_joins_the_nearest_first():
    likeness = np.array([[1, 0.9, 0.2], [0.9, 1, 0.4], [0.2, 0.4, 1]])
    forks = clustered_heatmap(likeness, list("abc")).axes[0].collections[0].get_segments()  # type: ignore[attr-defined]
    assert [fork[1, 1] for fork in forks] == pytest.approx([0.1, 0.7])


@pytest.mark.parametrize(
    "likeness", [np.eye(1), np.eye(2), np.ones((5, 5)), np.array([[1, 0.3], [0.31, 1.0001]]), -np.ones((3, 3))]
)
def test_one_result_two_and_equal_ones_are_clustered_without_a_warning(likeness: Any):
    count = len(likeness)
    for dark in (False, True):
        figure = clustered_heatmap(likeness, AWKWARD[:count], np.zeros((2, count)), AWKWARD[6:], dark)
        assert rendered(figure).startswith(b"\x89PNG")


def test_any_script_is_drawn_in_a_clustered_heatmap():
    assert rendered(clustered_heatmap(np.eye(8), AWKWARD, np.eye(8), AWKWARD)).startswith(b"\x89PNG")


def test_results_and_queries_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match=r"1 labels for results × results of the shape \(1, 2\)"):
        clustered_heatmap(np.zeros((1, 2)), ["a"])
    with pytest.raises(InputError, match=r"1 queries × 2 results, but their cosines are \(1, 3\)"):
        clustered_heatmap(np.eye(2), ["a", "b"], np.zeros((1, 3)), ["q"])
    with pytest.raises(InputError, match="at least one cell"):
        clustered_heatmap(np.zeros((0, 0)), [])


def test_the_matrix_of_pairs_states_its_diagonal_and_the_rest():
    title = similarity_matrix(np.array([[0.8, 0.1], [0.3, 0.6]]), "epoch 2").axes[0].get_title(loc="left")
    assert title == "epoch 2\n2 pairs · mean on the diagonal 0.70, elsewhere 0.20"


def test_a_large_matrix_of_pairs_keeps_its_diagonal():
    figure = similarity_matrix(np.eye(1000), "end")
    drawn = figure.axes[0].collections[0].get_array()
    assert np.array_equal(np.asarray(drawn).reshape(200, 200), np.eye(200))
    assert "200 of 1000 pairs" in figure.axes[0].get_title(loc="left")


def test_a_matrix_of_pairs_must_be_square():
    with pytest.raises(InputError, match="square, this one is 1×2"):
        similarity_matrix(np.zeros((1, 2)))


def test_curves_show_the_loss_and_both_directions():
    figure = history_curves({"recipe": "scenes", "epochs": [epoch(1), epoch(2)]})
    loss, recall, rsum = figure.axes
    assert list(np.asarray(loss.lines[0].get_ydata())) == [1.0, 0.5]
    assert [list(np.asarray(line.get_ydata()))[-1] for line in recall.lines] == [20.0, 22.0, 24.0] * 2
    assert list(np.asarray(rsum.lines[0].get_ydata())) == [66.0, 132.0]


def test_phases_are_named_where_they_begin():
    figure = history_curves({"epochs": [epoch(1, "heads"), epoch(2, "heads"), epoch(3, "fine-tune")]})
    assert [text.get_text() for text in figure.axes[0].texts] == ["heads", "fine-tune"]


def test_an_epoch_without_a_report_leaves_a_gap():
    figure = history_curves({"epochs": [epoch(1, image_to_text=None), epoch(2)]})
    assert np.isnan(np.asarray(figure.axes[1].lines[0].get_ydata(), dtype=float)).tolist() == [True, False]


def test_scores_by_name_are_drawn_in_place_of_recalls():
    epochs = [{"epoch": 1, "loss": 2.0, "scores": {"seen": 90.0}}, {"epoch": 2, "loss": 1.0, "scores": {"new $": 50.0}}]
    loss, scores = history_curves({"epochs": epochs}).axes
    assert list(np.asarray(loss.lines[0].get_ydata())) == [2.0, 1.0]
    assert [line.get_label() for line in scores.lines] == ["seen", "new $"]
    assert np.asarray(scores.lines[0].get_ydata()).tolist() == pytest.approx([90.0, np.nan], nan_ok=True)
    assert scores.get_title(loc="left") == "Scores on the validation split"


def test_a_figure_of_an_unknown_suffix_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match=r"curves\.txt cannot be written: its suffix must be one of .*png"):
        save_figure(history_curves({"epochs": [epoch(1)]}), tmp_path / "curves.txt")


def test_a_history_without_epochs_is_refused():
    with pytest.raises(InputError, match="no epoch yet"):
        history_curves({"recipe": "scenes", "epochs": []})


def test_a_figure_is_saved_into_a_new_folder(tmp_path: Path):
    save_figure(history_curves({"epochs": [epoch(1)]}), tmp_path / "new" / "curves.png")
    assert (tmp_path / "new" / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_figures_may_be_drawn_by_several_threads_and_leave_nothing_open():
    from matplotlib import pyplot

    with ThreadPoolExecutor(3) as pool:
        pictures = list(pool.map(lambda _: rendered(similarity_heatmap(np.eye(3), ["a"] * 3, ["b"] * 3)), range(6)))
    assert len(set(pictures)) == 1
    assert pyplot.get_fignums() == []


@pytest.mark.parametrize(
    ("scores", "low", "high"),
    [([98.0, 99.0], 97.8, 100.2), ([50.0, 99.0], 0.0, 100.0), ([-10.0, 90.0], -12.0, 100.0)],
)
def test_scores_that_are_all_high_are_seen_apart_and_negative_ones_seen(scores: list[float], low: float, high: float):
    epochs = [{"epoch": at, "loss": 1.0, "scores": {"one": score}} for at, score in enumerate(scores)]
    assert history_curves({"epochs": epochs}).axes[1].get_ylim() == pytest.approx((low, high))
