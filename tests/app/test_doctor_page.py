"""The caption doctor's page: what it finds in a gallery of coloured squares, and where its buttons lead."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from crossmodal.app.state import galleries
from crossmodal.errors import IndexStoreError
from crossmodal.index import build_index
from tests.app.frame import COLOURS, DOCTOR, HOSTILE, ColourEncoder, all_words, app, html_of, jpeg, offers

EACH = 9


@pytest.fixture
def squares(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nine squares of each of four colours with three captions each; of the first, one names another colour and is
    hostile."""
    folder = tmp_path / "squares"
    folder.mkdir()
    lines = ["image,caption"]
    for name, colour in COLOURS.items():
        for number in range(EACH):
            (folder / f"{name}-{number}.jpg").write_bytes(jpeg(tuple(max(0, part - 4 * number) for part in colour)))
            first = f"blue {HOSTILE}" if (name, number) == ("red", 0) else f"a {name} square"
            lines += [f'{name}-{number}.jpg,"{text}"' for text in (first, f"{name} again", f"only {name}")]
    (folder / "yellow-copy.jpg").write_bytes((folder / "yellow-0.jpg").read_bytes())
    (tmp_path / "captions.txt").write_text("\n".join(lines) + "\n", "utf-8")
    index = Path("indexes/squares")
    build_index(folder, tmp_path / "captions.txt", ColourEncoder(), index)
    monkeypatch.setattr("sys.argv", ["app.py", "--index", str(index)])
    return tmp_path


def opened(check: str = "") -> AppTest:
    at = app()
    at.run()
    if check:
        at.query_params["check"] = check
    at.switch_page(DOCTOR).run()
    assert not at.exception
    return at


def found(at: AppTest) -> list[str]:
    return [body for body in html_of(at) if 'class="cm-dr"' in body or 'class="cm-dr-copies"' in body]


@pytest.mark.usefixtures("squares")
def test_the_wrong_caption_comes_first_with_its_evidence_and_as_text() -> None:
    at = opened()
    first = found(at)[0]
    assert "blue &lt;script&gt;alert(1)&lt;/script&gt; **bold** :smile: مرحبا 🐶" in first
    assert "<script>" not in "".join(html_of(at))
    assert "Its picture ranks" in first
    assert "red again" in first
    assert first.count("<img") == 4  # its picture, and three that fit better
    assert 'alt="blue-' in first
    assert "of 108 captions look more like another picture" in "".join(html_of(at))


@pytest.mark.usefixtures("squares")
def test_a_finding_opens_in_the_search() -> None:
    at = opened()
    next(button for button in at.button if button.key == "words-wrong-0").click().run()
    assert not at.exception
    assert at.text_input("text").value == f"blue {HOSTILE}"
    at.switch_page(DOCTOR).run()
    next(button for button in at.button if button.key == "picture-wrong-0").click().run()
    assert not at.exception
    assert at.query_params["like"] == "red-0.jpg"


def test_duplicates_are_marked_with_their_splits(squares: Path) -> None:
    at = opened("duplicates")
    at.slider("doctor-threshold").set_value(1.0).run()
    assert "2 files with the same bytes." in found(at)[0]
    assert "cm-dr-split" not in found(at)[0]
    (squares / "lists").mkdir()
    (squares / "lists/train.txt").write_text("yellow-0.jpg\n")
    (squares / "lists/test.txt").write_text("yellow-copy.jpg\n")
    at.text_input("doctor-splits").set_value(str(squares / "lists")).run()
    assert "2 files with the same bytes, in train and in test." in found(at)[0]
    assert found(at)[0].count("cm-dr-split") == 2
    (squares / "lists/test.txt").unlink()
    at.run()
    assert "in train" not in found(at)[0]  # the lists are read again when they change
    at.text_input("doctor-splits").set_value("/nowhere/<b>").run()
    assert "does not exist" in at.error[0].value
    assert not at.exception


@pytest.mark.parametrize("content", ["root:x:0:0\tSECRET\n", "SECRET\n", '{"SECRET": 1}'])
@pytest.mark.usefixtures("squares")
def test_an_error_does_not_say_what_a_split_list_holds(content: str) -> None:
    Path("lists").mkdir()
    Path("lists/train.txt").write_text(content)
    at = opened("duplicates")
    for given in ("lists", "lists/train.txt"):
        at.text_input("doctor-splits").set_value(given).run()
        assert at.error
        assert "SECRET" not in all_words(at)


@pytest.mark.usefixtures("squares")
def test_every_check_draws_a_list_or_says_that_there_is_nothing() -> None:
    at = opened()
    for check in ("wrong", "duplicates", "hubs", "ambiguous"):
        at.session_state["doctor-check"] = check
        at.run()
        assert not at.exception
        assert found(at) or at.success[0].value == "Nothing was found."
        assert at.query_params.get("check", ["wrong"]) in (check, [check])


@pytest.mark.usefixtures("squares")
def test_the_pages_of_a_long_list_are_turned() -> None:
    at = opened("ambiguous")
    assert len(found(at)) == 20
    total = next(body for body in html_of(at) if "1 to 20 of" in body)
    next(button for button in at.button if button.key == "doctor-page-ambiguous-below-Next").click().run()
    assert not at.exception
    assert any(f"21 to 40 of{total.split('of')[1]}" in body for body in html_of(at))


def test_the_page_is_offered_only_where_there_are_captions(squares: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert offers(app().run(), DOCTOR)
    build_index(squares / "squares", None, ColourEncoder(), Path("indexes/bare"))
    monkeypatch.setattr("sys.argv", ["app.py", "--index", "indexes/bare"])
    assert not offers(app().run(), DOCTOR)


def test_while_the_demo_gallery_is_being_made_the_page_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(index: Path) -> None:
        raise IndexStoreError(f"no index at {index}")

    monkeypatch.setattr(galleries, "searcher_of", absent)
    at = app().run()
    at.switch_page(DOCTOR).run()
    assert not at.exception
    assert "being made" in at.info[0].value
