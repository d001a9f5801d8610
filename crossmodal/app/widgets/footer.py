"""The foot of every page: how long the last search took, what the index holds, what made it, and what was skipped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from crossmodal.app.state.galleries import searcher_of
from crossmodal.app.widgets.sidebar import gallery
from crossmodal.app.widgets.theme import escaped
from crossmodal.errors import IndexStoreError
from crossmodal.index import read_manifest

if TYPE_CHECKING:
    from crossmodal.index import Manifest

__all__ = ["draw"]

MOST_SKIPPED = 1_000
KEYBOARD = (
    ("/", "to the line"),
    ("↓ ↑ ← →", "among the pictures"),
    ("Enter", "open"),
    ("l", "more like this"),
    ("+ −", "add, take away"),
    ("u d", "👍 👎"),
    ("← → Esc", "in an open picture"),
)


def draw(page: str) -> None:
    """Draw the foot. page: the path of the page above it."""
    state = st.session_state
    state.page_before = page or "search"
    try:
        manifest = read_manifest(gallery())
    except IndexStoreError:
        return
    with st.container(key="cm-foot", gap="small"):
        st.html(f'<p class="cm-quiet">{" · ".join(map(escaped, _facts(manifest)))}</p>')
        with st.container(horizontal=True, gap="small", vertical_alignment="center"):
            if manifest.counts.get("skipped", 0):
                _skipped(manifest)
            if page in ("", "search"):
                with st.popover("Keyboard", type="tertiary", icon=":material/keyboard:"):
                    rows = "".join(f"<dt><kbd>{escaped(key)}</kbd></dt><dd>{does}</dd>" for key, does in KEYBOARD)
                    st.html(f'<dl class="cm-facts">{rows}</dl>')


def _facts(manifest: Manifest) -> list[str]:
    seconds, runtime = st.session_state.get("searched", (None, ""))
    counts, size = manifest.counts, sum(int(facts["bytes"]) for facts in manifest.files.values())
    made = f"{manifest.checkpoint['name']} {str(manifest.checkpoint['fingerprint'])[:12]}"
    by = f" by {runtime}" if runtime else ""
    searched = [] if seconds is None else [f"Last search {1000 * seconds:,.0f} ms{by}"]
    held = [f"{counts.get('images', 0):,} pictures", f"{counts.get('captions', 0):,} captions"]
    return [*searched, *held, f"{size / 1e6:,.1f} MB on disk", f"checkpoint {made}"]


def _skipped(manifest: Manifest) -> None:
    count = manifest.counts["skipped"]
    words = f"{count:,} skipped file{'s' if count > 1 else ''}"
    opened = st.popover(words, type="tertiary", icon=":material/hide_image:", key="skipped", on_change="rerun")
    if opened.open:
        with opened:
            _listed(count, manifest)


def _listed(count: int, manifest: Manifest) -> None:
    lines = _reasons(str(gallery().resolve()), manifest.generation)
    rows = "".join(f'<li dir="auto"><b>{escaped(name)}</b> {escaped(why)}</li>' for name, why in lines)
    more = f"<li>and {count - len(lines):,} more</li>" if count > len(lines) else ""
    st.html(f'<p class="cm-quiet">Not in the index:</p><ul class="cm-skipped">{rows}{more}</ul>')


@st.cache_data(max_entries=4, show_spinner=False)
def _reasons(index: str, generation: str) -> list[tuple[str, str]]:  # noqa: ARG001 - the generation is part of the key

    skipped = searcher_of(Path(index)).index.catalogue.skipped
    return [(one.path, one.reason) for one in skipped[:MOST_SKIPPED]]
