"""The page's ears: clicks on tiles, keys, and pictures pasted or dropped anywhere on it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

__all__ = ["LISTENER", "listen"]

LISTENER = "cm-listener"
SCRIPT = Path(__file__).with_name("listener.js")
LONGEST_NAME = 200


def listen(generation: str, act: Callable[[str, int, str], None], given: Callable[[str, bytes], None]) -> None:
    """Mount the ears.

    generation: of the index whose rows the tiles name.
    act: called with an act ("like", "open", …), the row of a picture and the generation the browser knew.
    given: called with the name and the bytes of a picture that was pasted or dropped; none if it was too large.
    """

    def acted() -> None:
        event = _event("act")
        if isinstance(event.get("act"), str) and isinstance(event.get("row"), int):
            act(event["act"], event["row"], str(event.get("generation", "")))

    def received() -> None:
        event = _event("given")
        try:
            content = base64.b64decode(str(event.get("content", "")), validate=True)
        except binascii.Error:
            content = b""
        given(str(event.get("name", ""))[:LONGEST_NAME], content)

    _component()(
        key=LISTENER, data={"generation": generation}, height="content", on_act_change=acted, on_given_change=received
    )


def _event(name: str) -> dict[str, Any]:
    state = st.session_state.get(LISTENER)
    event = None if state is None else state.get(name)
    return event if isinstance(event, dict) else {}


@cache
def _component() -> Any:
    return st.components.v2.component("crossmodal_listener", js=SCRIPT.read_text("utf-8"))
