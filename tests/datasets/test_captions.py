"""Every captions format is told apart by its content, and no row is ever shifted."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest

from crossmodal.datasets.captions.reading import CaptionTable, read_captions
from crossmodal.errors import CaptionsError

TWO = {"a.jpg": ("A dog runs", "Two dogs"), "b.jpg": ("A cat",)}


def read(folder: Path, content: str | bytes, name: str = "file") -> CaptionTable:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return read_captions(path)


@pytest.mark.parametrize(
    ("content", "format_name"),
    [
        ("image,caption\na.jpg,A dog runs\na.jpg,Two dogs\nb.jpg,A cat\n", "CSV"),
        ("a.jpg,A dog runs\na.jpg,Two dogs\nb.jpg,A cat\n", "CSV"),
        ("\ufeffImage Name;Title\r\na.jpg;A dog runs\r\na.jpg;Two dogs\r\nb.jpg;A cat\r\n", "CSV with semicolons"),
        (",file_name,width,text\n0,a.jpg,9,A dog runs\n1,a.jpg,9,Two dogs\n2,b.jpg,9,A cat\n", "CSV"),
        ("filename,caption_1,caption2\na.jpg,A dog runs,Two dogs\nb.jpg,A cat,\n", "CSV"),
        ('raw,split,filename\n"[""A dog runs"", ""Two dogs""]",train,a.jpg\n"[""A cat""]",val,b.jpg\n', "CSV"),
        ("title\tfilepath\nA dog runs\ta.jpg\nTwo dogs\ta.jpg\nA cat\tb.jpg", "TSV"),
        ("a.jpg\tA dog runs\na.jpg\tTwo dogs\nb.jpg\tA cat", "TSV"),
        ("image_name| number| comment\na.jpg| 0| A dog runs\na.jpg| 1| Two dogs\nb.jpg| 0| A cat\n", "bar-separated"),
        ("a.jpg|0|A dog runs\na.jpg|1|Two dogs\nb.jpg|0|A cat\n", "bar-separated"),
        ("a.jpg#0\tA dog runs\na.jpg#1\tTwo dogs\nb.jpg#0\tA cat\n", "token file"),
        (
            '[{"image": "a.jpg", "text": ["A dog runs", "Two dogs"]}, {"image": "b.jpg", "text": "A cat"}]',
            "JSON records",
        ),
        ('{"img": "a.jpg", "texts": ["A dog runs", "Two dogs"]}\n\n{"img": "b.jpg", "texts": "A cat"}\n', "JSON lines"),
        ('{"a.jpg": ["A dog runs", "Two dogs"], "b.jpg": "A cat"}', "JSON mapping"),
    ],
)
def test_formats_are_told_apart_by_content(tmp_path: Path, content: str, format_name: str) -> None:
    table = read(tmp_path, content)
    assert table.format == format_name
    assert {name: tuple(filter(None, captions)) for name, captions in table.captions.items()} == TWO
    assert table.problems == ()


def test_karpathy_json_gives_folders_and_splits(tmp_path: Path) -> None:
    images = [
        {"filename": "a.jpg", "filepath": "val2014", "split": "restval", "sentences": [{"raw": "A dog\nruns"}]},
        {"filename": "b.jpg", "split": "test", "sentences": [{"tokens": ["a", "cat"]}, {"raw": "The cat"}]},
    ]
    table = read(tmp_path, json.dumps({"dataset": "flickr8k", "images": images}))
    assert table.format == "Karpathy JSON"
    assert table.captions == {"val2014/a.jpg": ("A dog runs",), "b.jpg": ("a cat", "The cat")}
    assert table.splits == {"val2014/a.jpg": "restval", "b.jpg": "test"}


def test_coco_json_joins_annotations_to_images_by_id(tmp_path: Path) -> None:
    content = {
        "images": [{"id": 7, "file_name": "b.jpg"}, {"id": 3, "file_name": "a.jpg"}],
        "annotations": [
            {"image_id": 3, "caption": "A dog runs"},
            {"image_id": 9, "caption": "Nobody"},
            {"image_id": 7, "caption": "A cat"},
            {"image_id": 3, "caption": "Two dogs"},
        ],
    }
    table = read(tmp_path, json.dumps(content))
    assert (table.format, table.captions) == ("COCO JSON", TWO)
    assert table.problems == ("annotation 2: image_id 9 names no image of the file: left out",)


@pytest.mark.parametrize("as_struct", [False, True])
def test_parquet_reads_lists_of_captions_and_image_structs(tmp_path: Path, as_struct: bool) -> None:
    import pyarrow as pa  # type: ignore[import-untyped,unused-ignore]
    from pyarrow import parquet  # type: ignore[import-untyped,unused-ignore]

    names = ["a.jpg", "b.jpg"]
    images = [{"bytes": b"\xff", "path": name} for name in names] if as_struct else names
    columns = {"image": images, "caption": [["A dog runs", "Two dogs"], ["A cat"]], "split": ["train", None]}
    parquet.write_table(pa.table(columns), tmp_path / "part.bin")
    table = read_captions(tmp_path / "part.bin")
    assert (table.format, table.captions, table.splits) == ("Parquet", TWO, {"a.jpg": "train"})


def test_a_folder_of_text_files_names_pictures_without_suffix(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.v1.txt").write_text("A dog runs\n\nTwo dogs\n")
    (tmp_path / "b.jpg.txt").write_text("")
    (tmp_path / ".hidden.txt").write_text("no")
    assert read_captions(tmp_path).captions == {"b.jpg": ("",), "sub/a.v1": ("A dog runs", "Two dogs")}


def test_a_folder_that_holds_the_captions_file_says_so(tmp_path: Path) -> None:
    (tmp_path / "captions.txt").write_text("image,caption\na.jpg,A dog\n")
    with pytest.raises(CaptionsError, match=r"give that file, .*captions\.txt"):
        read_captions(tmp_path)


def test_the_missing_bar_of_flickr30k_is_put_back_and_recorded(tmp_path: Path) -> None:
    rows = (
        "image_name| comment_number| comment\na.jpg| 3|  A dog .\na.jpg| 4   A dog runs across the grass .\nb.jpg| 0\n"
    )
    table = read(tmp_path, rows, "results.csv")
    assert table.captions == {"a.jpg": ("A dog .", "A dog runs across the grass .")}
    assert table.problems == (
        "line 3: 2 fields instead of 3: the bar after number 4 is missing, put back",
        "line 4: 2 fields instead of 3: left out",
    )


def test_quoted_captions_keep_commas_quotes_and_newlines(tmp_path: Path) -> None:
    rows = 'image,caption,note\na.jpg,"A ""big"" dog,\nrunning\r\n, fast",x\nb.jpg,a #1 cat | on a 5" mat,y\n'
    assert read(tmp_path, rows).captions == {
        "a.jpg": ('A "big" dog, running , fast',),
        "b.jpg": ('a #1 cat | on a 5" mat',),
    }


@pytest.mark.parametrize("name", ["a.jpg", '"a.jpg"', 'a.jpg,"0"', "a.jpg,0"])
def test_without_a_header_the_first_caption_may_span_lines(tmp_path: Path, name: str) -> None:
    table = read(tmp_path, f'{name},"A dog,\nwhich runs\nfast"\n{name.replace("a.", "b.")},A cat\n')
    assert (table.captions, table.problems) == ({"a.jpg": ("A dog, which runs fast",), "b.jpg": ("A cat",)}, ())


def test_a_caption_of_several_lines_may_stand_before_its_picture(tmp_path: Path) -> None:
    table = read(tmp_path, 'caption,image\n"A dog\n\nruns",a.jpg\n"A cat,b.jpg\n"A ""cow""",c.jpg\n')
    assert table.captions == {"a.jpg": ("A dog runs",), "b.jpg": ('"A cat',), "c.jpg": ('A "cow"',)}
    assert table.problems == ("line 5: a quote does not close: read as a character",)


@pytest.mark.parametrize(
    "stray", ['a.jpg,"A dog runs', 'a.jpg,"Stop" said the dog', 'a.jpg,"A dog\n'], ids=["open", "inner", "blank line"]
)
def test_a_stray_quote_swallows_no_other_row(tmp_path: Path, stray: str) -> None:
    table = read(tmp_path, f'image,caption\n{stray}\nb.jpg,A cat\nc.jpg,"A ""cow"""\n')
    assert (table.captions["b.jpg"], table.captions["c.jpg"]) == (("A cat",), ('A "cow"',))
    assert table.captions["a.jpg"] == (stray.removeprefix("a.jpg,").strip(),)
    assert table.problems == ("line 2: a quote does not close: read as a character",)


def test_two_stray_quotes_do_not_join_two_pictures(tmp_path: Path) -> None:
    table = read(tmp_path, 'image,caption\na.jpg,"A dog\nb.jpg,A cat"\n')
    assert table.captions == {"a.jpg": ('"A dog',), "b.jpg": ('A cat"',)}


def test_an_unquoted_comma_is_recorded_and_kept_where_the_caption_comes_last(tmp_path: Path) -> None:
    table = read(tmp_path, "image,caption\na.jpg,A dog, running\nb.jpg,A cat,,\nc.jpg\n")
    assert table.captions == {"a.jpg": ("A dog, running",), "b.jpg": ("A cat",)}
    assert table.problems == (
        "line 2: 3 fields instead of 2: the rest belongs to the caption",
        "line 4: 1 field instead of 2: left out",
    )


def test_a_row_of_another_width_is_left_out_where_it_could_shift(tmp_path: Path) -> None:
    table = read(tmp_path, "caption,image\nA dog, running,a.jpg\nA cat,b.jpg\n")
    assert table.captions == {"b.jpg": ("A cat",)}
    assert table.problems == ("line 2: 3 fields instead of 2: left out",)


def test_a_torn_line_does_not_become_a_picture(tmp_path: Path) -> None:
    rows = "image,caption\n" + "".join(f"{i}.jpg,A dog\n" for i in range(12)) + "that runs, over a hill\n"
    table = read(tmp_path, rows)
    assert len(table.captions) == 12
    assert table.problems == ("line 14: 'that runs' is not a picture's name: left out",)


def test_tabs_and_bars_take_quotes_as_they_stand(tmp_path: Path) -> None:
    table = read(tmp_path, 'image|caption\na.jpg|"Stop" says the sign\nb.jpg|"A cat\nc.jpg|"one | two"\n')
    assert [captions[0] for captions in table.captions.values()] == ['"Stop" says the sign', '"A cat', "one | two"]
    assert table.problems == ()


def test_a_token_caption_may_hold_numbers_signs_and_line_separators(tmp_path: Path) -> None:
    rows = "my #2 pic.jpg#0\tPlayer #9 runs\u2028 off\nno number here\nb.jpg.1#0\tA cat\n"
    table = read(tmp_path, rows)
    assert table.captions == {"my #2 pic.jpg": ("Player #9 runs off",), "b.jpg.1": ("A cat",)}
    assert table.problems == ("line 2: not of the form name#number<TAB>caption: left out",)


def test_two_splits_of_one_picture_are_recorded(tmp_path: Path) -> None:
    table = read(tmp_path, "image,caption,split\na.jpg,A dog,train\na.jpg,Two dogs,test\n")
    assert (table.splits, table.other_splits) == ({"a.jpg": "train"}, {"a.jpg": ("test",)})
    assert table.problems == ("line 3: 'a.jpg' stands in split 'test' here and in 'train' above: the first one kept",)


def test_bytes_that_are_not_utf8_are_read_as_windows_1252_and_recorded(tmp_path: Path) -> None:
    table = read(tmp_path, b"image,caption\na.jpg,Caf\xe9\nb.jpg,Th\xc3\xa9\n")
    assert table.captions == {"a.jpg": ("Café",), "b.jpg": ("Thé",)}
    assert table.problems == ("line 2: byte 0xe9 is not UTF-8: line read as Windows-1252",)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_a_byte_order_mark_is_no_part_of_the_header(tmp_path: Path, encoding: str) -> None:
    assert read(tmp_path, "image,caption\na.jpg,Café\n".encode(encoding)).captions == {"a.jpg": ("Café",)}


def test_gzip_is_told_by_content(tmp_path: Path) -> None:
    packed = gzip.compress(b"image_name,comment_number,comment,split\na.jpg,0,A dog,val\n")
    table = read(tmp_path, packed)
    assert (table.captions, table.splits) == ({"a.jpg": ("A dog",)}, {"a.jpg": "val"})
    with pytest.raises(CaptionsError, match="damaged gzip"):
        read(tmp_path, packed[:-9])


def test_empty_and_repeated_captions_stay_in_the_table(tmp_path: Path) -> None:
    assert read(tmp_path, "image,caption\na.jpg,\na.jpg,A  dog \na.jpg,A dog\n,A cat\n").captions == {
        "a.jpg": ("", "A dog", "A dog")
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        (" \n", "is empty"),
        ("image,caption\n", "holds no captions"),
        ("a.jpg\nb.jpg\n", "this looks like a split list.*first line is 'a.jpg'"),
        ("hello\nworld\n", "no known format.*first line is 'hello'"),
        ("image,width\na.jpg,3\n", "no known format"),
        ('{"info": {}, "licenses": []}', "unknown shape.*known shapes.*info, licenses"),
        ('{"images": [', "is not"),
        ("[1, 2]", "record 1: not a JSON object"),
        ("[" * 100_000, "nested too deeply"),
        ('{"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": [{"bbox": []}]}', "hold no captions"),
        ('{"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": []}', "holds no captions"),
        (b"PK\x03\x04rest", "ZIP archive"),
        (b"\x89PNG\r\n\0\0", "not a text file"),
        (b"PAR1 and no more", "damaged Parquet"),
        (b"\xff\xfea", "UTF-16"),
    ],
)
def test_what_cannot_be_read_is_a_captions_error(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(CaptionsError) as caught:
        read(tmp_path, content)
    assert re.search(message, caught.value.in_full)


def test_a_first_caption_too_long_for_a_csv_reader_is_read(tmp_path: Path) -> None:
    assert read(tmp_path, f'a.jpg,"{"dog " * 40_000}\nb.jpg,A cat\n').captions["b.jpg"] == ("A cat",)


@pytest.mark.parametrize("kind", ["bytes that are no text", "a date past the calendar"])
def test_cells_of_parquet_that_cannot_be_read_are_a_captions_error(tmp_path: Path, kind: str) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    torn = pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\2\0\0\0"), pa.py_buffer(b"\xff\xfe")])
    late = pa.array([2**31 - 1], pa.date32())
    parquet.write_table(pa.table({"image": ["a.jpg"], "caption": torn if "text" in kind else late}), tmp_path / "x")
    with pytest.raises(CaptionsError, match="is a damaged Parquet file"):
        read_captions(tmp_path / "x")


def test_an_absent_file_names_the_option(tmp_path: Path) -> None:
    with pytest.raises(CaptionsError, match="does not exist: give the captions file with --captions"):
        read_captions(tmp_path / "none.csv")


def test_the_real_files_read_without_a_problem(shared: Path) -> None:
    flickr8k = read_captions(shared / "data/flickr8k/captions.txt")
    assert (len(flickr8k.captions), flickr8k.problems) == (7091, ())
    assert {len(captions) for captions in flickr8k.captions.values()} == {5}
    flickr30k = read_captions(shared / "data/flickr30k_text/captions.csv.gz")
    assert (len(flickr30k.captions), sum(map(len, flickr30k.captions.values()))) == (30082, 150319)
    assert (set(flickr30k.splits.values()), flickr30k.problems) == ({"train", "val", "test"}, ())
