"""The side of every page: which gallery is open and what it holds, from its manifest alone."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from crossmodal.app.state.demo import DEMO
from crossmodal.app.state.galleries import galleries
from crossmodal.app.widgets.theme import facts, shown
from crossmodal.errors import IndexStoreError
from crossmodal.index.manifest import read_manifest

__all__ = ["address_of", "choose_gallery", "gallery", "open_gallery"]


def choose_gallery(started_with: Path | None) -> None:
    """Draw the choice of galleries; an address may name one of them, never another folder."""
    state = st.session_state
    offered = {str(path): path for path in galleries(started_with)}
    state.default_gallery = next(iter(offered))
    if state.get("gallery") not in offered:
        wanted = st.query_params.get("gallery", "")
        state.gallery = next((key for key, path in offered.items() if path.name == wanted), state.default_gallery)
    with st.sidebar:
        st.html('<div class="cm-brand"><span></span>Crossmodal</div>')
        st.selectbox("Gallery", list(offered), key="gallery", format_func=lambda key: _name(offered[key]))
        st.html(facts(_facts_of(gallery())))


def gallery() -> Path:
    """The folder of the open gallery's index."""
    return Path(st.session_state.gallery)


def open_gallery(index: Path) -> None:
    """Switch to a gallery; for callbacks, which run before the page is drawn."""
    st.session_state.gallery = str(index)


def address_of(index: Path) -> dict[str, str]:
    """What the address says of the open gallery: nothing for the one the app opens with."""
    return {} if str(index) == st.session_state.default_gallery else {"gallery": shown(index.name)}


def _facts_of(index: Path) -> list[tuple[str, str]]:
    """What an index holds and which checkpoint made its vectors, from its manifest alone."""
    try:
        manifest = read_manifest(index)
    except IndexStoreError:
        return [("Pictures", "none yet")]
    captions = manifest.counts.get("captions", 0)
    return [
        ("Pictures", f"{manifest.counts.get('images', 0):,}"),
        ("Captions", f"{captions:,}" if captions else "none"),
        ("Checkpoint", str(manifest.checkpoint["name"])),
        ("Fingerprint", str(manifest.checkpoint["fingerprint"])[:8]),
        ("Folder", "/".join(Path(manifest.images["path"]).parts[-2:])),
    ]


def _name(index: Path) -> str:
    return "Demo gallery" if index == DEMO else shown(index.name)
