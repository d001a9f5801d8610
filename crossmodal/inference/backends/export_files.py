"""The folder `exported/` of a checkpoint: which towers were exported from it, and how well they passed their check.

manifest.json            fingerprint, versions, SHA-256 of each file, results of the check
image-fp32.onnx …        graphs; weights lie beside them in *.onnx.data
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from crossmodal._files import SEALS, sealed_hash
from crossmodal.errors import CheckpointError, StaleExportError

__all__ = [
    "EXPORTED", "MANIFEST", "NEEDED", "PRECISIONS", "Export", "check_export_folder", "check_files", "export_command",
    "find_export",
    "has_export", "read_export",
]  # fmt: skip

EXPORTED, MANIFEST, SCHEMA = "exported", "manifest.json", 1
PRECISIONS = ("fp32", "int8", "bf16")  # bf16 is the fp32 files, computed in bf16 by OpenVINO
OURS = (MANIFEST, SEALS)
NEEDED = ("onnx", "onnxscript", "onnxruntime")  # packages without which nothing is exported
FILE_NAME = re.compile(r"[a-z0-9]+-[a-z0-9]+\.onnx(\.data)?", re.ASCII)


@dataclass(frozen=True)
class Export:
    """The manifest, as JSON values.

    schema: number of the form of the export's files.
    created: when it was written, as "2021-05-03T10:00:00Z" (UTC).
    fingerprint: of the checkpoint.
    splits_images: whether a picture's vector is an exact sum over places.
    splits_texts: whether a sentence's vector is an exact sum over tokens.
    precisions: name -> the files of "image" and "text"; only those that passed.
    files: name -> bytes and sha256.
    checks: name -> what was measured, of those that did not pass too.
    opset: of ONNX, in which the files are written.
    versions: package -> version, of what wrote the files.
    """

    schema: int
    created: str
    fingerprint: str
    splits_images: bool
    splits_texts: bool
    precisions: dict[str, dict[str, str]]
    files: dict[str, dict[str, int | str]]
    checks: dict[str, dict[str, Any]]
    opset: int
    versions: dict[str, str]

    def as_dict(self) -> dict[str, Any]:
        """All of it as a dict."""
        return asdict(self)


_TYPES: dict[str, type] = {
    "schema": int, "created": str, "fingerprint": str, "splits_images": bool, "splits_texts": bool, "precisions": dict,
    "files": dict, "checks": dict, "opset": int, "versions": dict,
}  # fmt: skip


def check_export_folder(checkpoint: Path) -> None:
    """Raise CheckpointError if the folder `exported` of a checkpoint holds anything that no export wrote."""
    folder = checkpoint / EXPORTED
    if not folder.exists():
        return
    entries = list(folder.iterdir()) if folder.is_dir() else [folder]
    foreign = sorted(path.name for path in entries if path.name not in OURS and not FILE_NAME.fullmatch(path.name))
    try:
        content = json.loads((folder / MANIFEST).read_bytes())
    except (OSError, ValueError, RecursionError):
        content = {}
    if isinstance(content, dict) and content.keys() - _TYPES.keys():
        foreign.append(MANIFEST)
    if foreign:
        raise CheckpointError(
            f"{folder} holds {foreign[0]}, which no export wrote, so it is not replaced: move it away, then run "
            f"`{export_command(checkpoint)}` again"
        )


def has_export(checkpoint: Path) -> bool:
    """Whether something was exported from a checkpoint, of whatever worth."""
    return (checkpoint / EXPORTED / MANIFEST).is_file()


def export_command(checkpoint: Path) -> str:
    """The command that exports a checkpoint again."""
    return f"python -m crossmodal export --checkpoint {checkpoint}"


def find_export(checkpoint: Path, fingerprint: str) -> Export | None:
    """What was exported from a checkpoint; None if that is nothing, or stale, which the next export replaces.

    Raises CheckpointError if the manifest is damaged.
    """
    try:
        return read_export(checkpoint, fingerprint) if has_export(checkpoint) else None
    except StaleExportError:
        return None


def read_export(checkpoint: Path, fingerprint: str) -> Export:
    """What was exported from a checkpoint.

    Raises CheckpointError if the manifest is damaged, StaleExportError if it is of another schema or of other weights
    than the checkpoint has now.
    """
    path = checkpoint / EXPORTED / MANIFEST
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read ({error}): {_mend(checkpoint)}") from error
    schema = content.get("schema") if isinstance(content, dict) else None
    if schema != SCHEMA:
        raise StaleExportError(f"{path} has schema {schema!r}, this version reads {SCHEMA}: {_mend(checkpoint)}")
    if not _is_whole(content):
        raise CheckpointError(f"{path} is damaged (its entries are not those of an export): {_mend(checkpoint)}")
    export = Export(**content)
    if export.fingerprint != fingerprint:
        raise StaleExportError(
            f"{path.parent} was exported from checkpoint {export.fingerprint[:8]}…, {checkpoint} is now "
            f"{fingerprint[:8]}…: {_mend(checkpoint)}"
        )
    return export


def check_files(checkpoint: Path, folder: Path, export: Export, tower: str) -> None:
    """Check a tower's file and the weights beside it against the manifest.

    checkpoint: the checkpoint's folder.
    folder: where the files lie.
    export: the manifest.
    tower: the name of an .onnx file in folder.

    Raises CheckpointError if one is missing, cut short or altered.
    """
    for name in (tower, f"{tower}.data"):
        about, path = export.files.get(name), folder / name
        if about is None:
            continue
        try:
            size = path.stat().st_size
            wrong = f"has {size:,} bytes, not {about['bytes']:,}" if size != about["bytes"] else ""
            if not wrong and sealed_hash(path) != about["sha256"]:
                wrong = "was altered (its SHA-256 is not the manifest's)"
        except OSError as error:
            wrong = f"cannot be read ({error.strerror or error})"
        if wrong:
            raise CheckpointError(f"{path} {wrong}: {_mend(checkpoint)}")


def _mend(checkpoint: Path) -> str:
    return f"run `{export_command(checkpoint)}`, or remove {checkpoint / EXPORTED} to run it by torch"


def _is_whole(content: dict[str, Any]) -> bool:
    return (
        content.keys() == _TYPES.keys()
        and all(type(content[name]) is kind for name, kind in _TYPES.items())
        and all(FILE_NAME.fullmatch(name) for name in content["files"])
        and all(isinstance(facts, dict) and facts.keys() == {"bytes", "sha256"} for facts in content["files"].values())
        and all(
            name in PRECISIONS
            and isinstance(towers, dict)
            and towers.keys() == {"image", "text"}
            and all(file in content["files"] for file in towers.values())
            for name, towers in content["precisions"].items()
        )
    )
