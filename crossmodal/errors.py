"""Every error the project raises on purpose, as one tree.

    CrossmodalError
    ├── InputError               a value given by the caller is outside what is allowed
    │   └── NotIndexableError    a model that scores pairs was asked for vectors
    ├── DataError                something in the user's data cannot be used
    │   ├── CaptionsError        a captions file or split list cannot be read
    │   └── ImageError           one picture cannot be decoded safely; carries .path and .reason
    ├── WeightsError             pretrained weights are absent or do not fit
    ├── CheckpointError          a checkpoint directory is absent, incomplete or of another shape
    │   └── StaleExportError     its exported towers are of other weights, or of another version of this program
    ├── TrainingError            training cannot go on (diverged, nothing to resume, …)
    └── IndexStoreError          an index directory is absent or unusable
        ├── IndexMismatchError   the index was built with another checkpoint or other settings
        └── MissingPicturesError more pictures would leave the index than anybody said are gone

Every message says what is wrong, the value, and the next command. What a file holds stands in `excerpt`, never in the
message: a page shows messages to whoever asks, also to one who may not read that file. The shell shows both.
"""

from __future__ import annotations

__all__ = [
    "CaptionsError",
    "CheckpointError",
    "CrossmodalError",
    "DataError",
    "ImageError",
    "IndexMismatchError",
    "IndexStoreError",
    "InputError",
    "MissingPicturesError",
    "NotIndexableError",
    "StaleExportError",
    "TrainingError",
    "WeightsError",
    "install_command",
]

DISTRIBUTION = "crossmodal-search"  # what this program is called where it is installed as a package
INSTALLED_AS = {  # import name -> name to install, where the two differ
    "PIL": "pillow",
    "cykooz_resizer": "cykooz-resizer",
    "faiss": "faiss-cpu",
    "sklearn": "scikit-learn",
    "umap": "umap-learn",
}


def install_command(*packages: str) -> str:
    """The command that installs what is missing.

    packages: import names, such as "sklearn".
    Where this program is itself installed, its extra is named if one brings all of them: that gets versions that fit.

    >>> install_command("onnx", "cykooz_resizer")
    'pip install onnx cykooz-resizer'
    """
    import re
    from importlib import metadata

    names = [INSTALLED_AS.get(package, package) for package in packages]
    try:
        listed = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        listed = []
    matches = [re.match(r"""([\w-]+).*extra == ['"](\w+)""", line) for line in listed]
    extra_of = {match[1]: match[2] for match in reversed(matches) if match}
    extras = {extra_of.get(name) for name in names}
    if len(extras) == 1 and None not in extras:
        return f'pip install "{DISTRIBUTION}[{extras.pop()}]"'
    return f"pip install {' '.join(names)}"


class CrossmodalError(Exception):
    """Root of the tree: catch this to catch everything the project raises on purpose.

    excerpt: what the file at fault holds, in words; empty where that does not matter. A traceback shows it as a note.
    """

    def __init__(self, message: str = "", excerpt: str = "") -> None:
        super().__init__(message)
        self.excerpt = excerpt
        if excerpt:
            self.add_note(excerpt)

    @property
    def in_full(self) -> str:
        """The message with the excerpt, for the shell, whose user can read the file anyhow."""
        return f"{self} ({self.excerpt})" if self.excerpt else str(self)


class InputError(CrossmodalError, ValueError):
    """A value given by the caller is outside what is allowed."""


class NotIndexableError(InputError):
    """A model that scores pairs was asked for vectors."""


class DataError(CrossmodalError):
    """Something in the user's data cannot be used."""


class CaptionsError(DataError):
    """A captions file or a split list cannot be read."""


class ImageError(DataError):
    """One picture cannot be decoded safely.

    path: where it lies, None when it came as bytes.
    reason: plain words, "truncated file", "0 bytes", …
    unread: whether its bytes could not be had at all (disk, share, permission, memory), so that it may be whole.
    """

    def __init__(self, reason: str, path: str | None = None, unread: bool = False) -> None:
        super().__init__(f"{path or 'picture'}: {reason}")
        self.reason = reason
        self.path = path
        self.unread = unread


class WeightsError(CrossmodalError):
    """Pretrained weights are absent or do not fit the architecture."""


class CheckpointError(CrossmodalError):
    """A checkpoint directory is absent, incomplete or of another shape."""


class StaleExportError(CheckpointError):
    """The exported towers of a checkpoint are of other weights, or of another version of this program."""


class TrainingError(CrossmodalError):
    """Training cannot start, go on or resume."""


class IndexStoreError(CrossmodalError):
    """An index directory is absent or unusable."""


class IndexMismatchError(IndexStoreError):
    """The index was built with another checkpoint or other settings."""


class MissingPicturesError(IndexStoreError):
    """More pictures would leave an index than a person deletes by hand; the index was left as it is."""
