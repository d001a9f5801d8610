"""The page that indexes a folder of pictures: progress while it runs, and what was skipped with the reason."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from crossmodal.app.state.demo import DEMO, DEMO_PICTURES
from crossmodal.app.state.galleries import INDEXES, checkpoints, encoder_of
from crossmodal.app.state.jobs import JOBS, Job, Report, Step
from crossmodal.app.widgets.job_progress import watch
from crossmodal.app.widgets.sidebar import open_gallery
from crossmodal.app.widgets.theme import heading, plain_markdown, shown
from crossmodal.errors import CrossmodalError, InputError, MissingPicturesError
from crossmodal.index.claim import claimed_root, same_folder

if TYPE_CHECKING:
    from crossmodal.index import BuildReport

NAME = re.compile(r"\w[\w .-]{0,62}")
TAKEN = (DEMO.name, DEMO_PICTURES.name)
GONE = "These pictures are really gone"
STAGES = {"pictures": "Indexing the pictures", "captions": "Indexing the captions", "writing": "Writing the index"}


def main() -> None:
    """Draw the page."""
    st.html(
        heading(
            "Index a folder",
            "The pictures stay where they are. A second run takes only what is new or changed, and a run that was "
            "interrupted goes on where it stopped.",
        )
    )
    found = checkpoints("vectors")
    if not found:
        st.info("There is no checkpoint to index with: train one, or restore `model-checkpoints/starter`.")
        return
    _form(found)
    index, job = _watched()
    if index is not None and job is not None:
        _show(index, job)


def _watched() -> tuple[Path | None, Job | None]:
    """The index that this session saw begin, and the job that makes it."""
    index = st.session_state.get("indexing")
    return (Path(index), JOBS.get(str(Path(index).resolve()))) if index else (None, None)


def _form(found: list[Path]) -> None:
    _, before = _watched()
    with st.form("index-a-folder"):
        images = st.text_input("Folder of pictures", key="index-images", placeholder="/home/me/photos")
        captions = st.text_input(
            "Captions file (optional)",
            key="index-captions",
            placeholder="/home/me/photos/captions.txt",
            help="CSV, TSV, Parquet, JSON (COCO, Karpathy) or Flickr's own files; told apart by their content. "
            "Without one, words find pictures, but pictures have no captions to find.",
        )
        left, right = st.columns(2)
        checkpoint = left.selectbox("Checkpoint", found, format_func=lambda path: shown(path.as_posix()))
        name = right.text_input("Name of the gallery", key="index-name", placeholder="the folder's own name")
        prune = False
        if before is not None and isinstance(before.error, MissingPicturesError):
            prune = st.checkbox(GONE, key="index-prune", help="Then they leave the gallery, and so do their captions.")
        started = st.form_submit_button("Index", type="primary", icon=":material/play_arrow:")
    if not started:
        return
    try:
        st.session_state.indexing = str(_start(images, captions, checkpoint, name, prune))
    except CrossmodalError as error:
        st.session_state.pop("indexing", None)
        st.error(plain_markdown(str(error)))


def _start(images: str, captions: str, checkpoint: Path, name: str, prune: bool) -> Path:
    """Begin to index in the background and return the index's folder. Raises InputError for an unusable entry."""
    folder, file = _path(images), _path(captions)
    if folder is None or not folder.is_dir():
        raise InputError(f"There is no folder of pictures at {images.strip()!r}: give the full path of one.")
    if file is not None and not file.exists():
        raise InputError(f"There is no captions file at {captions.strip()!r}: leave the line empty or give another.")
    chosen = name.strip() or re.sub(r"[^\w .-]", "-", folder.resolve().name)
    if not NAME.fullmatch(chosen) or chosen in TAKEN:
        raise InputError(f"{chosen!r} cannot name a gallery: take letters, digits, spaces, - and _ (and not 'demo').")
    index, root = INDEXES / chosen, folder.resolve()
    running = JOBS.get(str(index.resolve()))
    owner = Path(running.about) if running and running.about and not running.finished else None
    if owner is None and not name.strip():
        owner = claimed_root(index)
    if owner is not None and not same_folder(owner, root):
        raise InputError(
            f"The gallery {chosen!r} is that of {owner}: type another name for this folder. If these are the same "
            f"pictures in another place, type {chosen!r} as the name."
        )
    work = partial(_build, root, file, checkpoint, index, prune)
    JOBS.start(str(index.resolve()), work, about=str(root))
    return index


def _path(entry: str) -> Path | None:
    return Path(entry.strip()).expanduser() if entry.strip() else None


def _build(
    images: Path, captions: Path | None, checkpoint: Path, index: Path, prune: bool, report: Report
) -> BuildReport:
    from crossmodal.index import Progress, build_index

    def indexed(progress: Progress) -> None:
        words = STAGES.get(progress.stage, progress.stage)
        rate, left = progress.rate, progress.seconds_left
        report(Step(words, progress.done, progress.total, progress.skipped, rate, left))

    report(Step("Loading the model"))
    return build_index(images, captions, encoder_of(checkpoint), index, progress=indexed, prune=prune)


def _show(index: Path, job: Job) -> None:
    with st.container(border=True, key="cm-indexing"):
        if not job.finished:
            watch(job)
        elif job.error is not None:
            if not isinstance(job.error, CrossmodalError):
                raise job.error
            gone = isinstance(job.error, MissingPicturesError)
            st.error(plain_markdown(f"{job.error}{f', or tick “{GONE}” above' if gone else ''}"))
        else:
            _done(index, job.result)


def _complaint(count: int) -> str:
    """How much was wrong with a captions file; what it says there may not be for whoever is looking."""
    places = f"{count:,} places of the captions file were" if count > 1 else "One place of the captions file was"
    return f"{places} corrected or left out: `python -m crossmodal validate` lists them."


def _done(index: Path, report: BuildReport) -> None:
    skipped = f", {len(report.skipped):,} skipped" if report.skipped else ""
    st.success(
        plain_markdown(
            f"{index.name}: {report.indexed:,} pictures and {report.captions:,} captions indexed{skipped}, "
            f"in {report.seconds:.1f} s ({report.added:,} new, {report.changed:,} changed, {report.removed:,} gone, "
            f"{report.reused:,} reused)."
        ),
        icon=":material/check_circle:",
    )
    for note in report.notes:
        st.warning(plain_markdown(note.text))
    if report.problems:
        st.warning(plain_markdown(_complaint(len(report.problems))))
    if report.skipped:
        st.markdown("**Skipped**")
        rows = [{"picture": shown(item.path), "reason": shown(item.reason)} for item in report.skipped]
        st.dataframe(rows, hide_index=True, width="stretch")
    if st.button("Open this gallery", type="primary", key="open-gallery", on_click=open_gallery, args=(index,)):
        st.switch_page(Path(__file__).with_name("search.py"))


main()
