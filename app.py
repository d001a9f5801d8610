"""The app: `streamlit run app.py [-- --index DIR]`. Only the frame; the pages are in crossmodal/ui."""

from __future__ import annotations

import argparse
from pathlib import Path

import streamlit as st

from crossmodal.errors import CrossmodalError
from crossmodal.ui import sidebar
from crossmodal.ui.look import STYLE, plain_markdown

PAGES = Path(__file__).resolve().parent / "crossmodal" / "ui"


def arguments() -> argparse.Namespace:
    """What stands after `--` on the command line; whatever is not ours is left alone."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--index", type=Path)
    return parser.parse_known_args()[0]


st.set_page_config(page_title="Crossmodal", page_icon=str(PAGES / "icon.svg"), layout="wide")
st.html(STYLE)
page = st.navigation(
    [
        st.Page(PAGES / "search_page.py", title="Search", icon=":material/search:", url_path="search", default=True),
        st.Page(PAGES / "training_page.py", title="Training", icon=":material/monitoring:", url_path="training"),
        st.Page(PAGES / "index_page.py", title="Index a folder", icon=":material/create_new_folder:", url_path="index"),
    ],
    position="top",
)
try:
    sidebar.choose_gallery(arguments().index)
    page.run()
except CrossmodalError as error:
    st.error(plain_markdown(str(error)))
sidebar.footer()
