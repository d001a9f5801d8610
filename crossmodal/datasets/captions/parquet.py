"""Captions in Parquet: the columns of names and captions only, with what they unpack to counted before it is made.

A string that comes a million times is stored once. So columns are read as dictionaries, whose entries are counted as
often as they come before any of them becomes a row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from crossmodal.datasets.captions.table import CaptionTable, Columns, TableBuilder, find_columns
from crossmodal.datasets.captions.unpacking import allowance, refuse_size
from crossmodal.errors import CaptionsError, install_command

__all__ = ["read_parquet"]

Row = tuple[Any, list[Any], Any]  # the picture's name, the cells that hold captions, the split
VALUE = 16  # bytes that a value counts beside its text, less than what it takes


def read_parquet(path: Path) -> CaptionTable:
    """Read the captions of a Parquet file.

    Raises CaptionsError if pyarrow is absent, the file is damaged, lacks the columns, or holds more than
    `crossmodal.datasets.captions.unpacking.LIMITS` allow.
    """
    if not find_spec("pyarrow"):
        raise CaptionsError(f"{path} is Parquet, which needs pyarrow: `{install_command('pyarrow')}`")
    builder = TableBuilder()
    for number, (name, captions, split) in enumerate(_rows(path), start=1):
        for texts in captions:
            builder.add(f"row {number}", name, texts, split)
    return builder.table("Parquet", path.name)


def _rows(path: Path) -> Iterator[Row]:
    try:
        yield from _read(path)
    except CaptionsError:
        raise
    except Exception as error:  # of damaged files pyarrow raises anything, from OSError to OverflowError
        raise CaptionsError(f"{path} is a damaged Parquet file: fetch or write it again", str(error)) from error


def _read(path: Path) -> Iterator[Row]:
    from pyarrow import parquet  # type: ignore[import-untyped,unused-ignore]

    size, total = path.stat().st_size, 0
    limit = allowance(size)
    with parquet.ParquetFile(path) as file:
        names, columns = list(file.schema_arrow.names), _columns(path, file.schema_arrow)
        wanted = _wanted(file.schema_arrow, columns)
        stated, texts = _stated(file.metadata, wanted)
    if stated > limit:
        raise refuse_size(path, size, limit, packed=True)
    with parquet.ParquetFile(path, read_dictionary=texts) as file:
        for batch in file.iter_batches(columns=wanted):
            total += sum(map(_weight, batch.columns))
            if total > limit:
                raise refuse_size(path, size, limit, packed=True)
            for row in batch.to_pylist():
                split = None if columns.split is None else row[names[columns.split]]
                yield row[names[columns.image]], [row[names[column]] for column in columns.captions], split


def _columns(path: Path, schema: Any) -> Columns:
    from pyarrow import types  # type: ignore[import-untyped,unused-ignore]

    plain = [
        "" if types.is_struct(kind) or types.is_binary(kind) else name
        for name, kind in zip(schema.names, schema.types, strict=True)
    ]
    columns = find_columns(plain) or find_columns(schema.names)
    if columns is None:
        named = f"its columns are {', '.join(schema.names)}"
        raise CaptionsError(f"{path} has no image and no caption column", named)
    return columns


def _wanted(schema: Any, columns: Columns) -> list[str]:
    """What is read; of an image column {bytes, path} the bytes stay on disk."""
    from pyarrow import types

    image = schema.names[columns.image]
    others = [*columns.captions, *([] if columns.split is None else [columns.split])]
    return [
        f"{image}.path" if types.is_struct(schema.types[columns.image]) else image,
        *(schema.names[i] for i in others),
    ]


def _stated(metadata: Any, wanted: Iterable[str]) -> tuple[int, list[str]]:
    """How many bytes the columns take at least, by the file's own word, and those of text."""
    total, texts = 0, set()
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        for chunk in map(group.column, range(group.num_columns)):
            path = chunk.path_in_schema
            if any(path == name or path.startswith(f"{name}.") for name in wanted):
                total += max(chunk.total_uncompressed_size, VALUE * chunk.num_values)
                texts |= {path} if chunk.physical_type == "BYTE_ARRAY" else set()
    return max(total, VALUE * metadata.num_rows), sorted(texts)


def _weight(array: Any) -> int:
    """Bytes that the values of a column take when they are written out, without writing them out."""
    from pyarrow import compute, types

    kind, own = array.type, VALUE * len(array)
    if types.is_dictionary(kind):
        lengths = compute.take(compute.binary_length(array.dictionary), array.indices)
        return own + int(compute.sum(lengths).as_py() or 0)
    if types.is_nested(kind):
        parts = array.flatten()
        return own + (sum(map(_weight, parts)) if types.is_struct(kind) else _weight(parts))
    return own + int(array.nbytes)
