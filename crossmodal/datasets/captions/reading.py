"""Reading captions from every common format, told apart by what the file holds, never by a flag or its name."""

from __future__ import annotations

import csv
import os
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from crossmodal.datasets.captions.json_files import read_json
from crossmodal.datasets.captions.parquet import read_parquet
from crossmodal.datasets.captions.table import CaptionTable, Columns, TableBuilder, find_columns
from crossmodal.datasets.captions.unpacking import read_bytes, read_start
from crossmodal.errors import CaptionsError
from crossmodal.images.decode import IMAGE_SUFFIXES

__all__ = ["CaptionTable", "read_captions", "read_text"]

PARQUET = b"PAR1"  # how a file of it begins
_SAMPLE = 50  # lines looked at to tell a format
_LONGEST_CAPTION = 50  # lines a quoted caption may span; past that, its quote is a stray one
_TOKEN = re.compile(r"(?:([^\t]+)#\d+\t|(\S+?)#\d+ +)(.*)")
_FORMATS = {",": "CSV", "\t": "TSV", "|": "bar-separated", ";": "CSV with semicolons"}


def read_captions(path: Path) -> CaptionTable:
    """Read the captions of a file, or of a folder of .txt files named like their pictures.

    Known: CSV, TSV and bar-separated text with or without a header (Flickr8k captions.txt, Flickr30k results.csv),
    *.token, Karpathy JSON, COCO captions JSON, JSON records, JSON lines, JSON mappings, Parquet; any of the text
    formats may be gzipped. A malformed row is repaired only where one reading is possible, otherwise left out; both
    are recorded in `problems` with the line number.

    Raises CaptionsError if the path does not exist, cannot be read, is of no known format, or holds no captions.
    """
    if os.path.isdir(path):
        return _read_folder(path)
    if read_start(path) == PARQUET:
        return read_parquet(path)
    content = read_bytes(path)
    builder = TableBuilder()
    text = _decode(content, path.name, builder)
    del content  # as text and lines below, large once more
    if not text.strip():
        raise CaptionsError(f"{path} is empty: a captions file has at least one image name and one caption")
    if text.lstrip()[0] in "{[":
        return read_json(text, path.name, builder)
    lines = re.split(r"\r\n|\n|\r", text)  # not splitlines(): captions may hold U+2028 and the like
    del text
    sample = [line for line in lines if line.strip()][:_SAMPLE]
    if 2 * sum(_TOKEN.match(line) is not None for line in sample) > len(sample):
        return _read_token(lines, path.name, builder)
    return _read_delimited(lines, path, builder)


def read_text(path: Path) -> tuple[str, tuple[str, ...]]:
    """The text of a file (plain or gzipped, any Unicode BOM) and what was wrong with its bytes.

    Raises CaptionsError if it cannot be read or is not text.
    """
    builder = TableBuilder()
    return _decode(read_bytes(path), path.name, builder), tuple(builder.problems)


def _decode(content: bytes, name: str, builder: TableBuilder) -> str:
    if content.startswith(b"PK\x03\x04"):
        raise CaptionsError(f"{name} is a ZIP archive (or a spreadsheet): unpack it, or save it as CSV, first")
    if content.startswith(PARQUET):
        raise CaptionsError(f"{name} is Parquet packed with gzip: unpack it first")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            return content.decode("utf-16")
        except UnicodeDecodeError as error:
            raise CaptionsError(f"{name} starts like UTF-16 but is not: {error.reason}") from None
    if b"\0" in content:
        raise CaptionsError(f"{name} is not a text file (it holds zero bytes) and not Parquet")
    content = content.removeprefix(b"\xef\xbb\xbf")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        pass  # repaired line by line, and recorded
    lines = []
    for number, line in enumerate(content.split(b"\n"), start=1):
        try:
            lines.append(line.decode("utf-8"))
        except UnicodeDecodeError as error:
            lines.append(line.decode("cp1252", errors="replace"))
            byte = line[error.start]
            builder.problem(f"line {number}", f"byte 0x{byte:02x} is not UTF-8: line read as Windows-1252")
    return "\n".join(lines)


def _read_token(lines: list[str], source: str, builder: TableBuilder) -> CaptionTable:
    """Flickr's `name.jpg#0<TAB>caption` lines. Source: Hodosh et al. 2013, Flickr8k.token.txt."""
    for number, line in enumerate(lines, start=1):
        match = _TOKEN.fullmatch(line)
        if match:
            builder.add(f"line {number}", match[1] or match[2], match[3])
        elif line.strip():
            builder.problem(f"line {number}", "not of the form name#number<TAB>caption: left out")
    return builder.table("token file", source)


def _read_delimited(lines: list[str], path: Path, builder: TableBuilder) -> CaptionTable:
    first = next(i for i, line in enumerate(lines) if line.strip())
    delimiter, columns, width, has_header = _layout(lines[first], path)

    def row_ends(line: str, following: str) -> bool:
        leads = columns.image < min(columns.captions)  # then a row shows at its first line, otherwise at its last
        fields = (following if leads else line).split(delimiter)
        return len(fields) >= width and _is_picture_name(fields[columns.image if leads else columns.image - width])

    def fitted(told: TableBuilder) -> Iterator[tuple[str, list[str]]]:
        """The rows of the file, parsed again each time: all fields at once would take much memory."""
        return _fitted(_rows(lines, first + has_header, delimiter, row_ends), width, columns, delimiter, told)

    named = [_is_picture_name(row[columns.image]) for _, row in fitted(builder)]
    strict = 10 * sum(named) >= 9 * len(named)  # where names end in .jpg and so on, a row that does not is a stray
    for (where, row), is_named in zip(fitted(TableBuilder()), named, strict=True):
        if strict and not is_named:
            builder.problem(where, f"{row[columns.image].strip()[:60]!r} is not a picture's name: left out")
            continue
        name = _without_number(row[columns.image].strip())
        split = None if columns.split is None else row[columns.split]
        for column in columns.captions:
            builder.add(where, name, row[column], split)
    return builder.table(_FORMATS[delimiter], path.name)


def _layout(line: str, path: Path) -> tuple[str, Columns, int, bool]:
    """Delimiter, columns, fields a row, and whether the first line is a header."""
    split_lines = {delimiter: _begun(line, delimiter) for delimiter in _FORMATS}
    for delimiter, names in split_lines.items():
        while names and not names[-1].strip():
            names.pop()
        columns = find_columns(names)
        if columns is not None:
            return delimiter, columns, len(names), True
    for delimiter, fields in split_lines.items():
        if len(fields) > 1 and _is_picture_name(fields[0]):
            caption = 2 if len(fields) > 2 and fields[1].strip().isdecimal() else 1
            return delimiter, Columns(0, (caption,), None), caption + 1, False
    if _is_picture_name(line):
        raise CaptionsError(
            f"{path} holds no captions, its first line is just a picture's name: this looks like a split list: give "
            "its folder with --splits DIR, and the captions file with --captions FILE",
            f"its first line is {line.strip()!r}",
        )
    raise CaptionsError(
        f"{path} is of no known format. A table needs a header that names an image and a caption column "
        "(image,caption), or rows that start with a picture's name",
        f"its first line is {line.strip()[:80]!r}",
    )


def _is_picture_name(field: str) -> bool:
    name = _without_number(field.strip().strip('"'))
    return posixpath.splitext(name)[1].lower() in IMAGE_SUFFIXES


def _without_number(name: str) -> str:
    """A name as *.token files number it, without the number: "a.jpg#0" is "a.jpg"."""
    return re.sub(r"(\.\w+)#\d+$", r"\1", name) if "#" in name else name


def _split(text: str, delimiter: str) -> list[str] | None:
    """The fields of one row by CSV's rules, strictly; None if its quotes break them.

    Raises EOFError if a quoted field is still open at the end.
    """
    if '"' not in text:
        return text.split(delimiter)
    try:
        return next(csv.reader([text], delimiter=delimiter, strict=True))
    except csv.Error as error:
        if "unexpected end" in str(error):
            raise EOFError from None
        return None


def _begun(line: str, delimiter: str) -> list[str]:
    """The fields of a row of which this is the first line: its last caption may go on in the next."""
    try:
        return _split(line, delimiter) or line.split(delimiter)
    except EOFError:
        with suppress(csv.Error):  # a field too long for it
            return next(csv.reader([line], delimiter=delimiter))
        return line.split(delimiter)


def _rows(
    lines: list[str], start: int, delimiter: str, row_ends: Callable[[str, str], bool]
) -> Iterator[tuple[int, list[str], str]]:
    """Yield (line number, fields, complaint) of every row; a quoted caption may span lines.

    row_ends: whether, from the picture's name in one of them, a row must end between a line and the following one.
    A quote that never closes is read as a character: CSV readers that trust it swallow the rows that follow.
    """
    index = start
    while index < len(lines):
        number, text, fields = index + 1, lines[index], None
        index += 1
        if not text.strip():
            continue
        try:
            fields = _split(text, delimiter)
        except EOFError:
            for end in range(index, min(index + _LONGEST_CAPTION, len(lines))):
                if row_ends(lines[end - 1], lines[end]):
                    break
                text = f"{text}\n{lines[end]}"
                try:
                    fields = _split(text, delimiter)
                except EOFError:
                    continue
                index = end + 1 if fields else index
                break
        if fields is not None:
            yield number, fields, ""
        else:
            complaint = "a quote does not close: read as a character" if delimiter in ",;" else ""
            yield number, lines[number - 1].split(delimiter), complaint


def _fitted(
    rows: Iterable[tuple[int, list[str], str]], width: int, columns: Columns, delimiter: str, told: TableBuilder
) -> Iterator[tuple[str, list[str]]]:
    """Yield the place and the fields of every row that can be brought to its width. told: gets what was wrong."""
    for number, fields, complaint in rows:
        where = f"line {number}"
        fitted, repair = _fit(fields, width, columns, delimiter)
        if fitted is None:
            told.problem(where, f"{repair}: left out")
            continue
        if complaint or repair:
            told.problem(where, "; ".join(filter(None, (complaint, repair))))
        yield where, fitted


def _fit(fields: list[str], width: int, columns: Columns, delimiter: str) -> tuple[list[str] | None, str]:
    """Bring a row to its width where only one reading is possible, else None; and say what was wrong."""
    while len(fields) > width and not fields[-1].strip():
        fields = fields[:-1]
    if len(fields) == width:
        return fields, ""
    wrong = f"{len(fields)} field{'s' * (len(fields) != 1)} instead of {width}"
    if len(fields) > width and columns.captions == (width - 1,):
        return [*fields[: width - 1], delimiter.join(fields[width - 1 :])], f"{wrong}: the rest belongs to the caption"
    # Flickr30k's results.csv has `2199200615.jpg| 4   A dog runs across the grass .`: the second bar is missing
    number = re.fullmatch(r"\s*(\d+)\s+(.+)", fields[-1])
    if delimiter == "|" and width == len(fields) + 1 and columns.captions == (width - 1,) and number:
        return [*fields[:-1], number[1], number[2]], f"{wrong}: the bar after number {number[1]} is missing, put back"
    return None, wrong


def _read_folder(folder: Path) -> CaptionTable:
    """Text files named like their pictures, a caption a line; a name here is a picture's path without its suffix."""
    builder = TableBuilder()
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise CaptionsError(f"{folder} cannot be read: {error.strerror or error}") from None
    tables = [path for path in entries if path.name == "captions.txt" or path.suffix == ".token"]
    if tables:
        raise CaptionsError(f"{folder} is a folder that holds {tables[0].name}: give that file, {tables[0]}")
    for path in sorted(folder.rglob("*.txt")):
        relative = path.relative_to(folder)
        if path.is_file() and not any(part.startswith(".") for part in relative.parts):
            text, problems = read_text(path)
            for problem in problems:
                builder.problem(relative.as_posix(), problem)
            captions = [line for line in re.split(r"\r\n|\n|\r", text) if line.strip()]
            builder.add(relative.as_posix(), relative.with_suffix("").as_posix(), captions or [""])
    if not builder.captions:
        raise CaptionsError(f"{folder} is a folder without .txt files: give a captions file, or text beside pictures")
    return builder.table("text files", folder.name)
