"""The page that teaches a checkpoint the open gallery: before and after, use it or not, and what was marked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from crossmodal.app.state.galleries import encoder_of, galleries, searcher_of
from crossmodal.app.state.jobs import JOBS, Job, Report, Step
from crossmodal.app.widgets.job_progress import watch
from crossmodal.app.widgets.sidebar import gallery
from crossmodal.app.widgets.theme import heading, plain_markdown, shown
from crossmodal.errors import CrossmodalError, InputError
from crossmodal.gallery.feedback import open_feedback, personal_csv, personal_test
from crossmodal.index import read_manifest
from crossmodal.index.manifest import MANIFEST
from crossmodal.search.searcher import recorded_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable

    from crossmodal.finetune import TeachResult
    from crossmodal.gallery.feedback import PersonalTest
    from crossmodal.index import BuildReport

DIRECTIONS = {"text_to_image": "text → picture", "image_to_text": "picture → text"}
RECALLS = ("R@1", "R@5", "R@10")
RESULT = "taught"  # key of what a finished job said, in the session's state


def main() -> None:
    """Draw the page."""
    index = gallery()
    st.html(
        heading(
            "Teach",
            "Let the model learn the words of this gallery, see what it gained on pictures it was not shown, and "
            "then decide.",
        )
    )
    if not (index / MANIFEST).is_file():
        st.info("There is no gallery yet: open the search page once, or index a folder.")
        return
    job = JOBS.get(_key(index))
    if job is not None and not job.finished:
        with st.container(border=True):
            watch(job)
            st.caption("You may leave this page; the work goes on.")
    else:
        if job is not None:
            _finish(index, job)
        _lesson(index)
    _marks(index)


def _key(index: Path) -> str:
    return f"teach {index.resolve()}"


def _finish(index: Path, job: Job) -> None:
    """Say how a job ended, once."""
    JOBS.forget(_key(index))
    if job.error is None:
        st.session_state[RESULT] = (str(index), job.result)
    elif isinstance(job.error, CrossmodalError):
        st.error(plain_markdown(str(job.error)))
    else:
        raise job.error


def _lesson(index: Path) -> None:
    """What waits for an answer, or the offer to teach."""
    from crossmodal.finetune import pending

    told = st.session_state.pop(RESULT, None)
    if told is not None and told[0] == str(index) and isinstance(told[1], str):
        st.success(plain_markdown(told[1]), icon=":material/check_circle:")
    state = pending(index)
    if state.candidate is not None:
        _candidate(index, state.candidate)
    else:
        _offer(index)
    if state.former:
        last = state.former[-1]
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(plain_markdown(f"Before, this gallery used {last.name} ({last.fingerprint[:8]})."))
            st.button("Go back to it", key="teach-undo", icon=":material/undo:", on_click=_start, args=(index, _undo))


def _offer(index: Path) -> None:
    """What will happen, and the button; or why this gallery cannot be taught."""
    from crossmodal.finetune import FEWEST, check_teachable

    manifest = read_manifest(index)
    try:
        check_teachable(recorded_checkpoint(manifest, index))
        if not manifest.counts["captions"]:
            raise InputError(
                f"This gallery has no captions to learn from: give at least {FEWEST} pictures some, and index the "
                "folder again with the captions file."
            )
    except CrossmodalError as error:
        st.info(plain_markdown(str(error)))
        return
    name = str(manifest.checkpoint["name"])
    st.markdown(
        plain_markdown(
            f"The model {name} learns from 70 % of the captioned pictures, decides on 10 % how long to learn and how "
            "much of the old weights to keep, and is judged on the other 20 %. What it could do before, on generated "
            "scenes and in your other galleries, may fall by one point at most. Marks you gave count as well. The "
            f"{manifest.counts['images']:,} pictures are not encoded again: it takes about a minute, and nothing "
            "changes until you say so."
        )
    )
    st.button(
        "Teach it this gallery", type="primary", icon=":material/school:", key="teach", on_click=_start,
        args=(index, _teach),
    )  # fmt: skip


def _start(index: Path, work: Callable[[Path, Report], Any]) -> None:
    """Begin some work in the background; for callbacks."""
    st.session_state.pop(RESULT, None)
    JOBS.start(_key(index), lambda report: work(index, report))


def _stages(report: Report) -> Callable[[str, int, int], None]:
    return lambda words, done, total: report(Step(words, done, total if total > 1 else 0))


def _teach(index: Path, report: Report) -> str | None:
    from crossmodal.finetune import teach

    report(Step("Opening the model"))
    source = recorded_checkpoint(read_manifest(index), index)
    keep = [other for other in galleries() if _same_checkpoint(other, index)]
    taught: TeachResult = teach(index, encoder=encoder_of(source), keep=keep, progress=_stages(report))
    return taught.verdict if taught.candidate is None else None


def _same_checkpoint(other: Path, index: Path) -> bool:
    """Whether another gallery has captions and vectors of the same checkpoint, so that it can tell of the old skill."""
    if not (other / MANIFEST).is_file() or other.resolve() == index.resolve():
        return False
    own, its = read_manifest(index), read_manifest(other)
    return bool(its.counts["captions"]) and its.checkpoint["fingerprint"] == own.checkpoint["fingerprint"]


def _accept(index: Path, report: Report) -> str:
    from crossmodal.finetune import accept

    return _built(index, accept(index, _stages(report)))


def _undo(index: Path, report: Report) -> str:
    from crossmodal.finetune import undo

    return _built(index, undo(index, _stages(report))[1])


def _built(index: Path, built: BuildReport) -> str:
    name = read_manifest(index).checkpoint["name"]
    again = f", {built.embedded:,} of them encoded again" if built.embedded else ""
    return f"The gallery now uses {name}: {built.indexed:,} pictures{again}, in {built.seconds:.0f} s."


def _discard(index: Path) -> None:
    from crossmodal.finetune import discard

    discard(index)


def _candidate(index: Path, candidate: Path) -> None:
    """Before and after of what was taught, and the two answers."""
    metrics = _document(candidate / "metrics.json")
    teaching = metrics.get("teaching", {})
    before, after = metrics.get("held out, before"), metrics.get("held out, after")
    if not isinstance(before, dict) or not isinstance(after, dict):
        st.warning(plain_markdown(f"{candidate} says nothing of its recall: discard it and teach again."))
    else:
        st.subheader("Before and after")
        if teaching.get("verdict"):
            better = teaching.get("gain", {}).get("low", 0) > 0
            (st.success if better else st.warning)(plain_markdown(str(teaching["verdict"])))
        st.dataframe(_rows(metrics), hide_index=True, width="stretch")
        held, alpha = before["protocol"]["pictures"], float(teaching.get("alpha", 1))
        share = (
            "The new weights are used whole." if alpha == 1 else f"{100 * alpha:.0f} % new weights, the rest old ones."
        )
        st.caption(plain_markdown(f"Recall in per cent on {held:,} pictures that were kept back. {share}"))
        with st.expander("Every mixture of old and new weights"):
            st.dataframe(_mixtures(teaching), hide_index=True, width="stretch")
    with st.container(horizontal=True):
        st.button("Use it", type="primary", icon=":material/check:", key="teach-accept", on_click=_start,
                  args=(index, _accept))  # fmt: skip
        st.button("Discard", icon=":material/delete:", key="teach-discard", on_click=_discard, args=(index,))
    st.caption(plain_markdown(f"The new checkpoint lies in {_near(candidate)}; the old one stays where it is."))


def _rows(metrics: dict[str, Any]) -> list[dict[str, str]]:
    """A recall a line, then the old skill."""
    before, after = metrics["held out, before"], metrics["held out, after"]
    rows = []
    for side, words in DIRECTIONS.items():
        for recall in RECALLS:
            values = [report[side][recall] for report in (before, after)]
            sure = [_interval(report, f"{side} {recall}") for report in (before, after)]
            rows.append(_row(f"{words} {recall}", values, sure))
    for name in metrics.get("teaching", {}).get("choices", [{}])[0].get("skills", {}):
        reports = [metrics[f"{name}, {when}"] for when in ("before", "after")]
        values = [float(report["rsum"]) / 6 for report in reports]
        sure = [_interval(report, "rsum", 6) for report in reports]
        rows.append(_row(f"old skill: {shown(name)}", values, sure))
    return rows


def _row(name: str, values: list[float], sure: list[str]) -> dict[str, str]:
    """The numbers first, so that a phone shows them."""
    before, after = values
    numbers = {"before": f"{before:.1f}", "after": f"{after:.1f}", "gain": f"{after - before:+.1f}"}
    return {"recall": name, **numbers, "before, 95 % interval": sure[0], "after, 95 % interval": sure[1]}


def _interval(report: dict[str, Any], name: str, parts: int = 1) -> str:
    low, high = (report.get("intervals") or {}).get(name) or (None, None)
    return "–" if low is None or high is None else f"{low / parts:.1f} to {high / parts:.1f}"


def _mixtures(teaching: dict[str, Any]) -> list[dict[str, str]]:
    return [
        {
            "share of new weights": f"{choice['alpha']:g}"
            + (" (chosen)" if choice["alpha"] == teaching["alpha"] else ""),
            "loss it was chosen by": f"{choice['loss']:.4f}",
            "held out, mean recall": "–" if choice["recall"] is None else f"{choice['recall']:.1f}",
            **{f"old skill: {shown(name)}": f"{value:.1f}" for name, value in choice.get("skills", {}).items()},
        }
        for choice in teaching.get("choices", [])
    ]


def _document(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _near(path: Path) -> str:
    """A path as seen from here, where it lies below."""
    here = Path.cwd()
    return path.relative_to(here).as_posix() if path.is_relative_to(here) else str(path)


# -- marks ------------------------------------------------------------------------------------------------------------


def _marks(index: Path) -> None:
    """What was marked, what it brings, and the files of it."""
    st.subheader("What you marked")
    feedback = open_feedback(index)
    keys = feedback.queries()
    if not keys:
        st.markdown("Nothing yet. Thumbs up and down under the pictures of a search are kept here.")
        return
    if feedback.damaged:
        st.warning(f"{feedback.damaged:,} damaged lines of feedback.jsonl were left out.")
    test = _tested(
        str(index), str(feedback.path.stat().st_mtime_ns), str(read_manifest(index).checkpoint["fingerprint"])
    )
    st.dataframe(
        [
            {
                "query": shown(asked.query)[:200],
                "liked": len(asked.liked),
                "disliked": len(asked.disliked),
                "found before": _percent(asked.recall()),
                "with your marks": _percent(asked.recall(after=True)),
            }
            for asked in test.asked
        ],
        hide_index=True,
        width="stretch",
    )
    st.caption(
        plain_markdown(
            "Found: how many of the liked pictures stand among the first ten of those you did not mark, by the query "
            f"alone and with your other marks. All together {_percent(test.recall())} before, "
            f"{_percent(test.recall(after=True))} with them."
            + (f" Left out, since their pictures are gone: {len(test.gone):,}." if test.gone else "")
        )
    )
    with st.container(horizontal=True):
        content = json.dumps(test.as_dict(), indent=1)
        st.download_button("Export as JSON", content, "personal-test-set.json", "application/json",
                           icon=":material/download:", key="marks-json")  # fmt: skip
        st.download_button("Export as CSV", personal_csv(test).encode(), "personal-test-set.csv", "text/csv",
                           icon=":material/download:", key="marks-csv")  # fmt: skip


@st.cache_data(max_entries=4, show_spinner="Asking your marked queries again …")
def _tested(index: str, stamp: str, built: str) -> PersonalTest:  # noqa: ARG001 - both are part of the key
    searcher = searcher_of(Path(index))
    return personal_test(open_feedback(Path(index)), searcher.index, searcher.encoder)


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f} %"


main()
