"""How long does the search page work for each thing a person does? Without a browser, on a real index.

    python -m benchmarks.redraw --index indexes/flickr8k

The app runs in Streamlit's own test frame: from what the browser would send to the last message for it. The time that
a browser draws is not in it; encoding the question and making the thumbnails of pictures not seen before is. Every
question is another one, and each act follows a question of its own. The index is linked, so that marks leave it alone.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from crossmodal.errors import CrossmodalError, InputError
from crossmodal.index import Index, open_index

if TYPE_CHECKING:
    from streamlit.testing.v1 import AppTest

ROOT = Path(__file__).resolve().parents[1]
GOAL_MS = 300
PATIENCE = 120
Act = Callable[["AppTest", str], object]


def press(at: AppTest, act: str, number: int) -> None:
    """Press a button of the page's so many-th tile that has it, as the page's script tells it to Python."""
    from streamlit.components.v2.bidi_component.main import _make_trigger_id

    bodies = [element.proto.body for element in at.get("html")]
    rows = [int(row) for body in bodies for row in re.findall(rf'data-cm="{act}" data-row="(\d+)"', body)]
    listener = at.get("bidi_component")[0].proto
    value = {"act": act, "row": rows[number], "generation": json.loads(listener.json)["generation"]}
    states = at._tree.get_widget_states()
    state = states.widgets.add()
    state.id = _make_trigger_id(listener.id, "events")
    state.json_trigger_value = json.dumps([{"event": "act", "value": value}])
    at._run(states)


ACTS: dict[str, Act] = {
    "draw the same page again": lambda at, _: at.run(),
    "next page": lambda at, _: at.button("page-forward").click().run(),
    "filter by a caption's word": lambda at, word: at.text_input("filter-words").set_value(word).run(),
    "find by pictures and captions": lambda at, _: at.selectbox("by").set_value("both").run(),
    "take a word away": lambda at, word: at.text_input("refine-minus").set_value(word).run(),
    "👍": lambda at, _: press(at, "up", 1),
    "👎": lambda at, _: press(at, "down", 0),
    "more like this": lambda at, _: press(at, "like", 2),
    "open a picture in detail": lambda at, _: press(at, "open", 0),
}


def measure(index: Path, rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Milliseconds of a question and of every act after one, a pair a round: by the clock, and of the processor.

    Raises InputError if the index has too few captions to ask with, or if the page shows an error.
    """
    texts = questions(open_index(index), len(ACTS) * (rounds + 1))
    times: dict[str, list[tuple[float, float]]] = {"ask a new question": [], **{name: [] for name in ACTS}}
    with running(index) as at:
        for number, text in enumerate(texts):
            name, act = list(ACTS.items())[number % len(ACTS)]
            word = max(re.findall(r"[a-z]+", text.lower()), key=len)
            at.session_state["view"] = None
            asked = timed(at, lambda: at.text_input("text").set_value(text).run())  # noqa: B023 - called at once
            done = timed(at, lambda: act(at, word))  # noqa: B023
            if number >= len(ACTS):  # the first round loads what is loaded once
                times["ask a new question"].append(asked)
                times[name].append(done)
            print(f"\r{number + 1} of {len(texts)}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return times


def questions(index: Index, count: int) -> list[str]:
    """So many captions, evenly from all, all different. Raises InputError if there are too few."""
    texts = list(dict.fromkeys(caption.text for caption in index.catalogue.captions))
    texts = [text for text in texts if re.search("[a-z]{3}", text.lower())]
    if len(texts) < count:
        raise InputError(f"{index.path} has {len(texts):,} different captions, and {count:,} questions are asked")
    return texts[:: len(texts) // count][:count]


def timed(at: AppTest, act: Callable[[], object]) -> tuple[float, float]:
    """Milliseconds of an act, by the clock and of the processor. Raises InputError if the page then shows an error."""
    clock, work = time.perf_counter(), time.process_time()
    act()
    taken = 1000 * (time.perf_counter() - clock), 1000 * (time.process_time() - work)
    wrong = [element.value for element in (*at.exception, *at.error)]
    if wrong:
        raise InputError(f"the page shows an error: {wrong[0]}")
    return taken


@contextlib.contextmanager
def running(index: Path) -> Iterator[AppTest]:
    """The app, opened on a link of an index in an empty folder, with all that it does beside the page done."""
    from streamlit.testing.v1 import AppTest

    from crossmodal.app.state.jobs import JOBS

    os.environ.setdefault("CROSSMODAL_AUTO_EXPORT", "0")  # it would take a core while pages are timed
    here, arguments = Path.cwd(), sys.argv
    with tempfile.TemporaryDirectory() as folder:
        linked = Path(folder) / "indexes" / "measured"
        shutil.copytree(index, linked, copy_function=_link, ignore=shutil.ignore_patterns("feedback.jsonl", ".*lock"))
        sys.argv = ["app.py", "--index", str(linked)]
        os.chdir(folder)
        try:
            at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=PATIENCE).run()
            while any(not job.finished for job in JOBS._jobs.values()):
                time.sleep(0.1)
            yield at
        finally:
            os.chdir(here)
            sys.argv = arguments


def _link(source: str, target: str) -> str:
    try:
        os.link(source, target)
    except OSError:  # another disk
        shutil.copy2(source, target)
    return target


def table(times: dict[str, list[tuple[float, float]]]) -> str:
    """Median and 95th percentile of the times, as Markdown."""
    lines = ["| | p50 ms | p95 ms | work: p50 ms | p95 ms |", "| --- | --- | --- | --- | --- |"]
    for name, pairs in times.items():
        middles, lates = np.percentile(pairs, [50, 95], axis=0)
        lines.append(f"| {name} | {middles[0]:.0f} | {lates[0]:.0f} | {middles[1]:.0f} | {lates[1]:.0f} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print the table and how it was made."""
    parser = argparse.ArgumentParser(description="Time what the search page does for a person.")
    parser.add_argument("--index", type=Path, required=True, help="an index with captions")
    parser.add_argument("--rounds", type=int, default=15, help="how often each act is timed (default: 15)")
    options = parser.parse_args(arguments)
    try:
        counts = open_index(options.index).manifest.counts
        times = measure(options.index.resolve(), options.rounds)
    except CrossmodalError as error:
        print(f"redraw: {error}", file=sys.stderr)
        return 1
    print(table(times))
    print(
        f"\n{counts['images']:,} pictures, {counts['captions']:,} captions, 24 a page; {options.rounds} rounds after "
        f"one to warm up; {os.cpu_count()} cores, {os.environ.get('OMP_NUM_THREADS', 'all')} thread(s) a product of "
        f"matrices. Work is the time on the processor, which others on this machine do not lengthen. "
        f"Goal: below {GOAL_MS} ms."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
