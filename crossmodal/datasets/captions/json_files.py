"""Captions in JSON: Karpathy's data sets, COCO, lists of records, JSON lines, and plain mappings."""

from __future__ import annotations

import json
from typing import Any

from crossmodal.datasets.captions.table import CaptionTable, TableBuilder, find_columns
from crossmodal.errors import CaptionsError

_KNOWN = (
    "known shapes: Karpathy (images[].filename, sentences[].raw), COCO captions (images and annotations[].caption), "
    'a list or lines of {"image": …, "caption": …}, and {"name.jpg": ["caption", …]}'
)


def read_json(text: str, source: str, builder: TableBuilder) -> CaptionTable:
    """Read captions from JSON of any known shape, told apart by its keys. source: the file's name, for messages.

    Raises CaptionsError if the text is not JSON or has none of the known shapes.
    """
    try:
        return _read(text, source, builder)
    except RecursionError:  # from reading it, or from showing a part of it in a message
        raise CaptionsError(f"{source} is JSON nested too deeply to be captions; {_KNOWN}") from None


def _read(text: str, source: str, builder: TableBuilder) -> CaptionTable:
    try:
        content: Any = json.loads(text)
    except ValueError as error:
        records = _json_lines(text)
        if records is None:
            raise CaptionsError(f"{source} starts like JSON but is not: {error}") from None
        return _read_records(records, "line", "JSON lines", source, builder)
    if isinstance(content, list):
        return _read_records(content, "record", "JSON records", source, builder)
    if isinstance(content, dict) and isinstance(content.get("images"), list):
        images = content["images"]
        if isinstance(content.get("annotations"), list):
            return _read_coco(images, content["annotations"], source, builder)
        return _read_karpathy(images, source, builder)
    if isinstance(content, dict) and content and all(_is_text(value) for value in content.values()):
        for number, (name, captions) in enumerate(content.items(), start=1):
            builder.add(f"entry {number}", name, captions)
        return builder.table("JSON mapping", source)
    keys = ", ".join(list(content)[:5]) if isinstance(content, dict) else type(content).__name__
    raise CaptionsError(f"{source} is JSON of an unknown shape; {_KNOWN}", f"its top level: {keys or 'empty'}")


def _is_text(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(item, str) for item in value))


def _json_lines(text: str) -> list[Any] | None:
    """One JSON object a line; None if the first line is not one. A broken later line stands as None."""
    records: list[Any] = []
    for line in text.split("\n"):
        try:
            records.append(json.loads(line) if line.strip() else {})
        except (ValueError, RecursionError):
            records.append(None)
        if len(records) == 1 and not isinstance(records[0], dict):
            return None
    return records


def _read_records(records: list[Any], unit: str, format_name: str, source: str, builder: TableBuilder) -> CaptionTable:
    for number, record in enumerate(records, start=1):
        if record == {} and unit == "line":
            continue
        if not isinstance(record, dict):
            builder.problem(f"{unit} {number}", "not a JSON object: left out")
            continue
        keys = list(record)
        columns = find_columns(keys)
        if columns is None:
            builder.problem(
                f"{unit} {number}", f"no image and caption among its keys ({', '.join(keys[:6])}): left out"
            )
            continue
        split = None if columns.split is None else record[keys[columns.split]]
        for column in columns.captions:
            builder.add(f"{unit} {number}", record[keys[columns.image]], record[keys[column]], split)
    return builder.table(format_name, source)


def _read_karpathy(images: list[Any], source: str, builder: TableBuilder) -> CaptionTable:
    """Source: Karpathy and Fei-Fei 2015, the dataset_*.json files."""
    for number, image in enumerate(images, start=1):
        where = f"image {number}"
        if not isinstance(image, dict) or not isinstance(image.get("sentences"), list):
            builder.problem(where, "no list of sentences: left out")
            continue
        name, folder = image.get("filename"), image.get("filepath")
        if isinstance(name, str) and isinstance(folder, str) and folder.strip("/"):
            name = f"{folder.rstrip('/')}/{name}"
        builder.add(where, name, [_sentence(sentence) for sentence in image["sentences"]], image.get("split"))
    return builder.table("Karpathy JSON", source)


def _sentence(sentence: Any) -> Any:
    if isinstance(sentence, dict) and "raw" not in sentence and isinstance(sentence.get("tokens"), list):
        return " ".join(str(token) for token in sentence["tokens"])
    return sentence


def _read_coco(images: list[Any], annotations: list[Any], source: str, builder: TableBuilder) -> CaptionTable:
    """Source: Chen et al. 2015, Microsoft COCO Captions."""
    if annotations and not any(isinstance(entry, dict) and "caption" in entry for entry in annotations):
        raise CaptionsError(f"{source} is COCO JSON whose annotations hold no captions: give the captions_*.json file")
    names: dict[Any, str] = {}
    for number, image in enumerate(images, start=1):
        name = image.get("file_name") if isinstance(image, dict) else None
        if not isinstance(name, str) or not isinstance(image.get("id"), int | str):
            builder.problem(f"image {number}", "no id or no file_name: left out")
        elif names.setdefault(image["id"], name) != name:
            builder.problem(f"image {number}", f"id {image['id']} belongs to {names[image['id']]!r} already: left out")
        else:
            builder.add(f"image {number}", name, [], image.get("split"))
    for number, entry in enumerate(annotations, start=1):
        where = f"annotation {number}"
        key = entry.get("image_id") if isinstance(entry, dict) else None
        if not isinstance(key, int | str) or key not in names:
            builder.problem(where, f"image_id {key!r} names no image of the file: left out")
        elif "caption" not in entry:
            builder.problem(where, "no caption: left out")
        else:
            builder.add(where, names[key], entry["caption"])
    return builder.table("COCO JSON", source)
