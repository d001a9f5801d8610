"""The frame of every page: which gallery is open, which pages there are, and the footer.

app.py draws it; `python -m crossmodal app` has Streamlit run this file itself.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from crossmodal.app.state.galleries import checkpoints, export_starter, gallery_can, has_captions
from crossmodal.app.widgets import footer, sidebar
from crossmodal.app.widgets.theme import STYLE, plain_markdown
from crossmodal.errors import CrossmodalError

PAGES = Path(__file__).resolve().parents[1] / "pages"
ICON = Path(__file__).with_name("icon.svg")


def arguments() -> argparse.Namespace:
    """What stands after `--` on the command line; whatever is not ours is left alone."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--index", type=Path)
    return parser.parse_known_args()[0]


def pages() -> list[StreamlitPage]:
    """The pages there is something for: pairs need a checkpoint that judges them, vectors one that draws them."""
    search = st.Page(PAGES / "search.py", title="Search", icon=":material/search:", url_path="search", default=True)
    pair = st.Page(PAGES / "pair.py", title="Pair", icon=":material/join_inner:", url_path="pair")
    vectors = st.Page(PAGES / "vectors.py", title="Vectors", icon=":material/blur_on:", url_path="vectors")
    training = st.Page(PAGES / "training.py", title="Training", icon=":material/monitoring:", url_path="training")
    index = st.Page(PAGES / "index.py", title="Index a folder", icon=":material/create_new_folder:", url_path="index")
    atlas = st.Page(PAGES / "map.py", title="Map", icon=":material/scatter_plot:", url_path="map")
    teach = st.Page(PAGES / "teach.py", title="Teach", icon=":material/school:", url_path="teach")
    doctor = st.Page(
        PAGES / "captions_check.py", title="Caption doctor", icon=":material/stethoscope:", url_path="doctor"
    )
    offered = [pair] if checkpoints("pairs") else []
    offered += [vectors] if gallery_can(sidebar.gallery(), "decoding") else []
    offered += [doctor] if has_captions(sidebar.gallery()) else []
    return [search, atlas, *offered, teach, training, index]


def draw() -> None:
    """Draw the page that is asked for, with all around it; once a run of the script."""
    st.set_page_config(page_title="Crossmodal", page_icon=str(ICON), layout="wide")
    st.html(STYLE)
    export_starter()
    sidebar.choose_gallery(arguments().index)
    page = st.navigation(pages(), position="top")
    try:
        page.run()
    except CrossmodalError as error:
        st.error(plain_markdown(str(error)))
    footer.draw(page.url_path)


if __name__ == "__main__":
    draw()
