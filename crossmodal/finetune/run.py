"""Index → split → new heads → a candidate checkpoint with its numbers before and after."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from crossmodal.datasets.records import Record
from crossmodal.errors import InputError
from crossmodal.evaluation.retrieval import Report, split_hash
from crossmodal.finetune.apply import remember_candidate
from crossmodal.finetune.card import taught_card
from crossmodal.finetune.heads import check_teachable, write_with_heads
from crossmodal.finetune.judging import SAMPLES, Bank, gain_of, gallery_bank, ranks_on, report_of, scene_bank
from crossmodal.finetune.maps import Learned, Maps, learn, loss_on
from crossmodal.finetune.result import Choice, TeachResult
from crossmodal.finetune.split import HELD_OUT, Progress, Rows, SplitVectors, split_index
from crossmodal.gallery.feedback import Feedback
from crossmodal.index import Index, check_encoder, open_index
from crossmodal.inference.base import Encoder
from crossmodal.models.checkpoint_files import checkpoint_name
from crossmodal.search.searcher import recorded_checkpoint

__all__ = ["ALPHAS", "teach"]

TAUGHT = Path("runs") / "taught"
ALPHAS = tuple(step / 8 for step in range(9))  # shares of the new weights that are tried
SHOWN_ALPHAS = (0.0, 0.25, 0.5, 0.75, 1.0)
LOST = 1.0  # points of the old skill that may be lost at most
TOLD = ("verdict", "alpha", "gain", "choices", "pictures", "marks")
SCENES = 200  # of the bank that stands for the old skill


@contextmanager
def _one_thread() -> Iterator[None]:
    """The pieces of work are so small that threads wait for each other, on a busy machine many times as long."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@_one_thread()
def teach(
    index: Path | str,
    out: Path | None = None,
    *,
    checkpoint: Path | None = None,
    encoder: Encoder | None = None,
    seed: int = 0,
    keep: Sequence[Path] = (),
    progress: Progress | None = None,
    remember: bool = True,
) -> TeachResult:
    """Fine-tune the heads of an index's checkpoint on the index's own captions and marks; write a candidate.

    The pictures are not encoded again: see `maps`. Neither the index nor its checkpoint changes until `accept`.

    index: its folder.
    out: the candidate's folder; left out, a new one below runs/taught.
    checkpoint: the one that the index was built with, where it lies elsewhere now.
    encoder: of that checkpoint, where one is open.
    seed: of the split and of all that is drawn.
    keep: other indexes of this checkpoint; what it finds in them must not suffer either.
    progress: told (what is done, done, total).
    remember: let the candidate wait beside the index for `accept`.

    Raises IndexStoreError or CheckpointError for what cannot be opened; InputError if the index has too few captions,
    heads are not linear, or out exists; IndexMismatchError if an index to keep is of another checkpoint.
    """
    started, progress = time.monotonic(), progress or (lambda *_: None)
    opened = open_index(index)
    source = checkpoint or recorded_checkpoint(opened.manifest, opened.path)
    check_teachable(source)
    target = _free_folder(out or _new_folder(f"{opened.path.resolve().name}-taught"))
    progress("Opening the model", 0, 1)
    encoder = _encoder_of(source) if encoder is None else encoder
    others = [open_index(path) for path in keep]
    for one in (opened, *others):
        check_encoder(one.manifest, encoder, one.path)
    split = split_index(opened, encoder, seed, Feedback(opened.path))
    banks = [scene_bank(encoder, SCENES, progress), *map(gallery_bank, others, range(1, len(others) + 1))]
    learned, history = learn(split, seed, progress)
    progress("Comparing old and new", 0, 1)
    choices = _choices(split, banks, learned)
    alpha = _chosen(choices).alpha
    judged = _judged(opened, split, banks, learned, choices, alpha, seed)
    taught = replace(judged, history=history, seconds=time.monotonic() - started, candidate=target if alpha else None)
    if alpha:
        _write(opened, source, learned.maps(alpha), taught, seed)
        if remember:
            remember_candidate(opened.path, target)
    return replace(taught, seconds=time.monotonic() - started)


def _encoder_of(checkpoint: Path) -> Encoder:
    from crossmodal.inference.encoder import open_encoder  # loads for seconds: only after the quick checks

    return open_encoder(checkpoint)


def _free_folder(folder: Path) -> Path:
    """The folder, if there is none of its name yet. Raises InputError."""
    if folder.exists():
        raise InputError(f"{folder} exists already: name another folder with --out DIR")
    return folder


def _new_folder(name: str) -> Path:
    numbered = (TAUGHT / (name if number == 1 else f"{name}-{number}") for number in range(1, 10_000))
    return next(folder for folder in numbered if not folder.exists())


def _choices(split: SplitVectors, banks: Sequence[Bank], learned: Learned) -> tuple[Choice, ...]:
    """Every mixture with its validation loss and old skills."""
    losses = loss_on(split, split.validation, learned, ALPHAS)
    return tuple(
        Choice(alpha, loss, {bank.name: round(bank.skill(learned.maps(alpha)), 2) for bank in banks})
        for alpha, loss in zip(ALPHAS, losses, strict=True)
    )


def _chosen(choices: Sequence[Choice]) -> Choice:
    """The best on the validation part among those that lose at most a point of any old skill."""
    before = choices[0].skills
    kept = [choice for choice in choices if all(choice.skills[name] >= before[name] - LOST for name in before)]
    return min(kept, key=lambda choice: choice.loss)


def _judged(
    index: Index,
    split: SplitVectors,
    banks: Sequence[Bank],
    learned: Learned,
    choices: Sequence[Choice],
    alpha: float,
    seed: int,
) -> TeachResult:
    """The held-out part under the old heads, the chosen ones, and the mixtures that are shown."""
    rows, marks = split.held_out, split.marked
    ranks = {share: ranks_on(split, rows, learned.maps(share)) for share in sorted({*SHOWN_ALPHAS, alpha})}
    recalls = {share: round(found.metrics["rsum"] / 6, 2) for share, found in ranks.items()}
    protocol = {
        "split": f"held out: {HELD_OUT:.0%} of the captioned pictures, by picture, seed {seed}",
        "split hash": split_hash(_records(index, rows)),
        "index": index.path.name,
    }
    return TeachResult(
        candidate=None,
        taught_from=str(index.manifest.checkpoint["fingerprint"]),
        alpha=alpha,
        before=report_of(ranks[0.0], protocol),
        after=report_of(ranks[alpha], protocol),
        gain=gain_of(ranks[0.0], ranks[alpha], seed),
        skills={bank.name: _both(bank, learned, alpha) for bank in banks},
        choices=tuple(replace(c, recall=recalls.get(c.alpha)) for c in choices),
        pictures=(len(split.train), len(split.validation), len(rows)),
        marks=(sum(len(query.liked) + len(query.disliked) for query in marks), split.left_out),
        seconds=0.0,
    )


def _both(bank: Bank, learned: Learned, alpha: float) -> tuple[Report, Report]:
    return bank.report(learned.maps(0.0), SAMPLES), bank.report(learned.maps(alpha), SAMPLES)


def _records(index: Index, rows: Rows) -> list[Record]:
    catalogue, first = index.catalogue, index.caption_rows
    return [
        Record(
            catalogue.pictures[row].stamp.path,
            tuple(caption.text for caption in catalogue.captions[first[row] : first[row + 1]]),
        )
        for row in rows.tolist()
    ]


def _write(index: Index, source: Path, maps: Maps, taught: TeachResult, seed: int) -> None:
    if taught.candidate is None:
        return
    about = {
        "recipe": "taught",
        "seed": seed,
        "command": f"python -m crossmodal teach --index {index.path} --seed {seed}",
        "taught from": f"{checkpoint_name(source)} {taught.taught_from}",
        "share of new weights": taught.alpha,
    }
    metrics = {
        "held out, before": taught.before.as_dict(),
        "held out, after": taught.after.as_dict(),
        **{
            f"{name}, {when}": report.as_dict()
            for name, reports in taught.skills.items()
            for when, report in zip(("before", "after"), reports, strict=True)
        },
        "teaching": {name: value for name, value in taught.as_dict().items() if name in TOLD},
    }
    documents = {"metrics.json": metrics, "README.md": taught_card(taught, checkpoint_name(source), index.path.name)}
    write_with_heads(source, maps, taught.candidate, about, documents, expected=taught.taught_from)
