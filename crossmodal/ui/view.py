"""What a person looks at, as one value that goes into the address and comes out of it again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["DEFAULT_COUNT", "MAX_COUNT", "MAX_TEXT", "View"]

DEFAULT_COUNT = 10
MAX_COUNT = 100
MAX_TEXT = 500
TARGETS = ("images", "captions")


@dataclass(frozen=True)
class View:
    """One question: a text, or an indexed picture to find more like; what to look for, and how many.

    text: the typed query. like: relative path of an indexed picture. to: "images", "captions" or None for what suits
    the query. count: 1 to 100.
    """

    text: str = ""
    like: str = ""
    to: str | None = None
    count: int = DEFAULT_COUNT

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, str]) -> View:
        """Read the address; what is missing or nonsense falls back to the default, since anybody may edit a link."""
        to = parameters.get("to")
        count = parameters.get("k", "")
        return cls(
            text=parameters.get("q", "")[:MAX_TEXT],
            like=parameters.get("like", ""),
            to=to if to in TARGETS else None,
            count=min(max(int(count), 1), MAX_COUNT) if re.fullmatch("[0-9]{1,6}", count) else DEFAULT_COUNT,
        )

    def parameters(self) -> dict[str, str]:
        """The shortest address that shows this view: defaults are left out."""
        parameters = {"q": self.text, "like": self.like, "to": self.to or ""}
        if self.count != DEFAULT_COUNT:
            parameters["k"] = str(self.count)
        return {name: value for name, value in parameters.items() if value}
