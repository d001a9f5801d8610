"""What the pages are made of: addresses, escaped text, jobs and their progress, points between vectors."""

from __future__ import annotations

import threading
import tomllib
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from crossmodal.app.state.jobs import Jobs, Step
from crossmodal.app.state.sphere import between, middle
from crossmodal.app.state.view import Part, View
from crossmodal.app.widgets.job_progress import EVERY, in_words
from crossmodal.app.widgets.theme import plain_markdown, shown, tile
from crossmodal.errors import InputError
from crossmodal.search.filters import Filter
from crossmodal.search.query import Box
from tests.app.frame import HOSTILE, ROOT


def test_the_address_bears_nonsense():
    nonsense = {
        "k": "9" * 5000,
        "to": "<b>",
        "by": "x",
        "page": "-1",
        "minside": "y",
        "since": "1",
        "crop": "percent:1",
    }
    assert View.from_parameters(nonsense) == View()
    assert [View.from_parameters({"k": k}).count for k in ("0", "7", "250", "-3", "٣")] == [1, 7, 100, 24, 24]
    assert View.from_parameters({"q": "x" * 20_000}).text == "x" * 10_000
    assert len(View.from_parameters({"plus": ["a"] * 900}).parts) == 12
    assert View.from_parameters({"plus": ["", "@", "0:", "nan:"]}).parts == (Part(words="nan:"),)


def test_the_address_of_a_view_is_short_and_brings_it_back():
    assert View((Part(words="a dog"),)).parameters() == {"q": "a dog"}
    crop = Box(0.1, 0.2, 0.5, 0.25)
    parts = (
        Part(picture="a/#b.jpg", weight=2, crop=crop),
        Part(words="at night", weight=0.5),
        Part(words="2:30"),
        Part(picture="c#xywh=d.jpg", minus=True, crop=crop),
        Part(words="@home \\o/", minus=True, weight=3),
    )
    chosen = Filter(folder="a", since="2020-01-31", words="red")
    view = View(parts, "captions", "both", 30, 4, chosen, "x.jpg", heatmap=True, copies=("y.jpg",))
    assert View.from_parameters(view.parameters()) == view


def test_the_address_of_a_long_question_carries_its_beginning():
    assert len(View((Part(words="x" * 10_000),)).parameters()["q"]) == 2_000


def test_words_replace_what_the_line_held_and_leave_what_was_added():
    view = View((Part(picture="a.jpg"),)).with_added(Part(words="people", minus=True))
    assert view.with_first(Part(words="a dog")).parts == (Part(words="a dog"), Part(words="people", minus=True))
    assert view.with_part(0, None).asks is False


def test_the_next_thing_looked_for_leads_where_the_first_is_dropped():
    parts = (Part(words="a"), Part(words="b", minus=True), Part(words="c"))
    assert View(parts).with_part(0, None).parts == (Part(words="c"), Part(words="b", minus=True))


def test_text_is_escaped_for_html_and_for_markdown():
    assert "<script" not in tile(None, HOSTILE)
    assert plain_markdown("a *b* [c](d)\n# e") == r"a \*b\* \[c\]\(d\) \# e"
    assert ":smile:" not in plain_markdown(":smile:").replace("\\", "")


def test_a_file_name_that_is_no_text_can_be_shown():
    name = b"caf\xe9.jpg".decode("utf-8", "surrogateescape")
    assert shown(name).encode("utf-8")


def test_progress_says_how_far_how_fast_and_how_long():
    words = in_words(Step("Indexing", done=1200, total=4000, skipped=2, rate=98.6, seconds_left=28.4))
    assert words == "Indexing · 1,200 of 4,000 · 2 skipped · 99 a second · 28 s left"
    assert in_words(Step("Writing the index", done=0, total=1)) == "Writing the index"


def test_a_job_runs_once_however_often_it_is_started():
    gate, calls, jobs = threading.Event(), [0], Jobs()

    def work(_: Any) -> str:
        calls[0] += 1
        gate.wait(5)
        return "done"

    first, second = jobs.start("key", work), jobs.start("key", work)
    gate.set()
    assert first is second
    assert first.wait(5)
    assert [first.result, calls] == ["done", [1]]


def test_a_job_keeps_the_error_it_ended_with():
    def work(_: Any) -> None:
        raise ValueError("no")

    job = Jobs().start("key", work)
    assert job.wait(5)
    assert str(job.error) == "no"


def test_steps_between_two_vectors_stand_at_even_angles():
    steps = between(np.array([1.0, 0.0]), np.array([0.0, 1.0]), 3)
    assert np.allclose(steps, [[1, 0], [0.5**0.5, 0.5**0.5], [0, 1]])


def test_steps_between_equal_vectors_stand_still():
    assert np.allclose(between(np.array([0.6, 0.8]), np.array([0.6, 0.8]), 4), [[0.6, 0.8]] * 4)


def test_there_is_no_way_between_opposite_vectors_and_no_middle():
    opposite = np.array([[1.0, 0.0], [-1.0, 0.0]])
    with pytest.raises(InputError, match="opposite directions"):
        between(*opposite, 3)
    with pytest.raises(InputError, match="cancel each other out"):
        middle(opposite)


def test_the_middle_of_vectors_is_a_unit_vector():
    assert np.allclose(middle(np.eye(2, dtype=np.float32)), [0.5**0.5] * 2)


def test_a_page_looks_at_a_job_every_one_to_two_seconds():
    assert 1 <= EVERY <= 2


def test_the_app_keeps_to_this_machine_and_collects_no_garbage_after_a_run():
    settings = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text("utf-8"))
    assert settings["server"]["address"] == "localhost"
    assert settings["runner"]["postScriptGC"] is False


def test_a_job_that_ended_before_it_was_watched_is_not_waited_for():
    def page() -> None:
        import streamlit as st

        from crossmodal.app.state.jobs import Job
        from crossmodal.app.widgets.job_progress import watch

        st.session_state.runs = st.session_state.get("runs", 0) + 1
        if st.session_state.runs == 1:
            job = Job(lambda _: None)
            job.wait(10)
            watch(job)

    assert AppTest.from_function(page).run().session_state.runs == 2
