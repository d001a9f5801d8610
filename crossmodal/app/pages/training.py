"""The training page: how a checkpoint was trained, how good it is by which protocol, and its model card."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import streamlit as st

from crossmodal.app.state.galleries import checkpoints
from crossmodal.app.widgets.theme import facts, heading, plain_markdown, shown
from crossmodal.errors import InputError
from crossmodal.plots import history_curves

DIRECTIONS = {"image_to_text": "picture → text", "text_to_image": "text → picture"}
RECALLS = ("R@1", "R@5", "R@10")
PICTURES = ("similarity.png", "similarity_matrix.png")


def main() -> None:
    """Draw the page."""
    st.html(heading("Training", "Curves of a checkpoint, what it reaches and how that was measured."))
    found = checkpoints()
    if not found:
        st.info(
            "There is no checkpoint under `model-checkpoints/` or `runs/` yet. "
            "Train one: `python -m crossmodal train --recipe scenes --smoke`."
        )
        return
    checkpoint = st.selectbox("Checkpoint", found, format_func=lambda path: shown(path.as_posix()), key="checkpoint")
    st.html(facts(_about(checkpoint)))
    _curves(checkpoint)
    _metrics(checkpoint)
    _matrix(checkpoint)
    _card(checkpoint)


def _about(checkpoint: Path) -> list[tuple[str, str]]:
    config = _document(checkpoint, "config.json") or {}
    about = config.get("about")
    named = about if isinstance(about, dict) else {}
    plain = {name: value for name, value in named.items() if isinstance(value, (str, int, float))}
    image, size = config.get("image"), (checkpoint / "model.safetensors").stat().st_size
    backbone = image.get("backbone") if isinstance(image, dict) else None
    pairs = [("Picture tower", backbone), ("Dimension", config.get("dimension")), ("Weights", f"{size / 1e6:.1f} MB")]
    pairs += [(name.replace("_", " ").capitalize(), value) for name, value in plain.items()]
    return [(name, str(value)) for name, value in pairs if value is not None]


def _curves(checkpoint: Path) -> None:
    st.subheader("Curves")
    history = _document(checkpoint, "history.json")
    if history is None:
        st.info("This checkpoint brings no history.json, so there are no curves to show.")
        return
    try:
        st.pyplot(history_curves(history, dark=st.context.theme.type == "dark"))
    except InputError as error:
        st.info(str(error))


def _metrics(checkpoint: Path) -> None:
    reports = _document(checkpoint, "metrics.json") or {}
    reports = {name: report for name, report in reports.items() if isinstance(report, dict)}
    recalls = {name: report for name, report in reports.items() if "rsum" in report}
    others = {name: report for name, report in reports.items() if isinstance(report.get("values"), dict)}
    st.subheader("Results" if others else "Retrieval")
    if not recalls and not others:
        st.info("This checkpoint brings no metrics.json: measure it with `python -m crossmodal evaluate`.")
        return
    if recalls:
        st.dataframe([row for name in recalls for row in _rows(name, recalls[name])], hide_index=True, width="stretch")
        st.caption("Recall in percent, in brackets the 95 % interval. rsum adds the six recalls, 600 is perfect.")
    for name, report in others.items():
        _values(name, report)
    for name, report in (recalls | others).items():
        protocol = report.get("protocol")
        if isinstance(protocol, dict) and protocol:
            with st.expander(
                "How this was measured" if len(recalls | others) == 1 else f"How {shown(name)} was measured"
            ):
                st.html(facts((str(fact).capitalize(), str(value)) for fact, value in protocol.items()))


def _values(name: str, report: dict[str, Any]) -> None:
    """A report that is no retrieval: its headline, its numbers by name, and what it says case by case."""
    headline = report.get("headline")
    st.markdown(plain_markdown(f"{name}: {headline}" if headline else name))
    for warning in report.get("warnings") or []:
        st.warning(plain_markdown(str(warning)))
    values = [(measure, value) for measure, value in report["values"].items() if isinstance(value, (int, float))]
    table = [{"measure": shown(measure), "value": f"{value:,.5g}"} for measure, value in values]
    st.dataframe(table, hide_index=True, width="stretch")
    if report.get("rows"):
        with st.expander(f"Case by case, {shown(name)}"):
            st.dataframe(report["rows"], hide_index=True, width="stretch")


def _rows(name: str, report: dict[str, Any]) -> list[dict[str, str]]:
    intervals = report.get("intervals") or {}
    rows = []
    for direction, words in DIRECTIONS.items():
        values = report.get(direction) or {}
        row = {"split": shown(name), "direction": words}
        row |= {recall: _interval(values.get(recall), intervals.get(f"{direction} {recall}")) for recall in RECALLS}
        rank = values.get("median_rank")
        rows.append(row | {"median rank": "–" if rank is None else f"{rank:g}", "rsum": ""})
    rows[-1]["rsum"] = _interval(report["rsum"], intervals.get("rsum"))
    return rows


def _interval(value: Any, interval: Any) -> str:
    if not isinstance(value, (int, float)):
        return "–"
    if isinstance(interval, list) and len(interval) == 2:
        return f"{value:.1f} [{interval[0]:.1f}, {interval[1]:.1f}]"
    return f"{value:.1f}"


def _matrix(checkpoint: Path) -> None:
    for folder in (checkpoint, checkpoint.parent):
        for name in PICTURES:
            if (folder / name).is_file():
                st.subheader("Pictures and their captions")
                st.image((folder / name).read_bytes(), width=620)
                return


def _card(checkpoint: Path) -> None:
    card = checkpoint / "README.md"
    if not card.is_file():
        return
    st.subheader("Model card")
    with st.container(border=True, key="cm-card"):
        st.markdown(_without_front_matter(card.read_text("utf-8", errors="replace")))


def _without_front_matter(text: str) -> str:
    if text.startswith("---\n") and (end := text.find("\n---", 4)) > 0:
        return text[end + 4 :]
    return text


def _document(checkpoint: Path, name: str) -> dict[str, Any] | None:
    """A JSON object of the checkpoint, or of the run that holds it; None where there is none that can be read."""
    for folder in (checkpoint, checkpoint.parent):
        try:
            content = json.loads((folder / name).read_text("utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(content, dict):
            return content
    return None


main()
