"""A training on disk: recipe and data → trainer → checkpoints, history, curves, and what a killed run goes on from.

OUT/best, OUT/last       checkpoints           OUT/state.safetensors   where a killed run stands
OUT/history.json         one entry an epoch    OUT/curves.png, OUT/similarity.png
OUT/config.json          what it is asked to do     OUT/feedback.json      the marks it is trained with, if any
OUT/../cache             decoded pictures and generated scenes, shared by runs beside each other
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import Tensor

from crossmodal._files import write_document
from crossmodal._memory import hold_memory
from crossmodal.errors import CheckpointError, TrainingError
from crossmodal.evaluation.model_card import model_card
from crossmodal.evaluation.reports import AnyReport, checkpoint_report
from crossmodal.gallery.feedback.training_marks import TrainingMarks
from crossmodal.images.transforms import ImageTransform
from crossmodal.models.checkpoint import (
    Checkpoint,
    load_checkpoint,
    load_training_state,
    model_config,
    save_checkpoint,
    save_training_state,
)
from crossmodal.models.checkpoint_files import RUN_PARTS, check_replaceable
from crossmodal.models.dual import CrossModalModel
from crossmodal.models.scorer import PairScorer
from crossmodal.models.tokenizer import TextTokenizer
from crossmodal.plots import history_curves, save_figure, similarity_matrix
from crossmodal.progress import Bar
from crossmodal.recipes import Recipe
from crossmodal.training.build import build_model, image_transform
from crossmodal.training.config import AnyPath, TrainConfig, chosen_recipe
from crossmodal.training.data import DataPaths, SplitPictures, read_splits
from crossmodal.training.objectives import EmbeddingObjective, MatchObjective, Objective
from crossmodal.training.trainer import Epoch, Step, Trainer

SAVE_STEPS_SECONDS = 300.0
CONFIG = "config.json"
WRITTEN = ("history.json", "curves.png", "similarity.png")  # beside the checkpoints, where they stand


def build_objective(
    recipe: Recipe,
    model: CrossModalModel | PairScorer,
    tokenizer: TextTokenizer,
    transform: ImageTransform,
    splits: dict[str, list[SplitPictures]],
) -> Objective[Any]:
    """What a recipe minimises, with its data."""
    sources = [part.source(tokenizer, recipe.scene_share, recipe.balanced) for part in splits["train"]]
    validation = [part.source(tokenizer) for part in splits["val"]]
    if isinstance(model, PairScorer):
        return MatchObjective(model, tokenizer, transform, sources, validation)
    return EmbeddingObjective(
        model, tokenizer, transform, sources, validation, recipe.loss, recipe.loss_options, recipe.judged_by
    )


@dataclass(frozen=True)
class TrainingResult:
    """What came of a training.

    out: folder of the run.
    best: the checkpoint of the best epoch.
    reports: of the best checkpoint on every split that was not trained on, by name.
    history: an entry an epoch.
    seconds: of training, those before a resume included.
    resumed_seconds: of these, those before a resume.
    """

    out: Path
    best: Path
    reports: dict[str, AnyReport]
    history: dict[str, Any]
    seconds: float
    resumed_seconds: float = 0.0


class Run:
    """One training with its output folder.

    Raises TrainingError if the folder holds a run that is not to be resumed, or one of another configuration.
    """

    def __init__(self, asked: TrainConfig) -> None:
        self.asked = asked
        self.recipe = chosen_recipe(asked)
        self.out: Path = asked.folder
        self.state_path = self.out / "state.safetensors"
        if not asked.resume and self.state_path.exists():
            raise TrainingError(
                f"{self.out} already holds a run: go on with --resume, or name another folder with --out DIR"
            )
        if self.state_path.exists():
            _check_same(self.out / CONFIG, asked)
        else:
            _check_free(self.out)
        hold_memory()
        torch.manual_seed(asked.seed)
        self.transform = image_transform(self.recipe)
        self.splits = self._read_splits()
        self.model, self.tokenizer = build_model(self.recipe, self.splits)
        self.command = asked.command or f"crossmodal.train({asked})"
        self.config = model_config(
            self.model,
            self.recipe.image_backbone,
            self.tokenizer,
            self.transform,
            labels=self._labels(),
            judged_by=self.recipe.judged_by,
            about={"recipe": self.recipe.name, "seed": asked.seed, "command": self.command},
        )
        self.history: dict[str, Any] = {"recipe": self.recipe.name, "epochs": []}
        self._best: dict[str, Tensor] | None = None
        self._last: Epoch | None = None
        self._saved = time.monotonic()
        self.trainer = self._trainer(self.recipe, self.model)
        if asked.resume:
            self._resume()

    def _read_splits(self) -> dict[str, list[SplitPictures]]:
        """The data, and in the run's folder what it is asked to do and the marks as they stood when it began."""
        asked, kept = self.asked, self.out / "feedback.json"
        resumed = asked.resume and kept.is_file()
        images, captions, splits, root = map(_path, (asked.images, asked.captions, asked.splits, asked.root))
        feedback = kept if resumed else _path(asked.feedback)
        found = read_splits(
            self.recipe,
            DataPaths(images, captions, splits, feedback, root),
            self.out.parent / "cache",
            asked.seed,
            self.transform.interpolation,
            asked.download,
            asked.mirror,
        )
        self.out.mkdir(parents=True, exist_ok=True)
        if feedback is not None and images is not None and not resumed:
            TrainingMarks(feedback, images).write(kept)
        if not self.state_path.exists():
            write_document(self.out / CONFIG, asked.as_dict())
        return found

    def _labels(self) -> list[str]:
        """The only words that a model of classes knows; none where any word has a vector."""
        words = self.splits["train"][0].words
        return [text for text, _, _ in words] if words and self.recipe.text_model == "labels" else []

    def _trainer(self, recipe: Recipe, model: CrossModalModel | PairScorer) -> Trainer:
        AcceleratorState._reset_state()  # else the precision of a process's first training would be that of all
        accelerator = Accelerator(cpu=self.asked.cpu, mixed_precision=recipe.mixed_precision)
        objective = build_objective(recipe, model, self.tokenizer, self.transform, self.splits)
        return Trainer(objective, recipe.phases, self.asked.seed, accelerator)

    def _resume(self) -> None:
        if not self.state_path.exists():
            print(f"nothing to resume in {self.out}: starting from the beginning", file=sys.stderr)
            return
        tensors, position = load_training_state(self.state_path)
        self.trainer.restore(tensors, position)
        history = json.loads((self.out / "history.json").read_text("utf-8")) if position["finished_epochs"] else {}
        # an epoch that was written but whose state was not is trained again, with the same result
        self.history["epochs"] = history.get("epochs", [])[: position["finished_epochs"]]

    def fit(self, say: Callable[[str], None] = print) -> None:
        """Train to the end, saving every few minutes and after epochs, but not after each of many short ones.

        say: told a line an epoch.
        """
        with Bar(unit="pairs") as bar, Bar("preparing pictures") as preparing:
            self.trainer.objective.progress = preparing.update
            for event in self.trainer.run():
                preparing.close()
                if isinstance(event, Step):
                    note = f"epoch {event.epoch + 1} step {event.step}/{event.steps} loss {event.loss:.3f}"
                    bar.show(event.phase, event.pairs, event.pairs_in_phase, note)
                    if time.monotonic() - self._saved > SAVE_STEPS_SECONDS:
                        self._save()
                else:
                    bar.hide()
                    say(self._finish_epoch(event))
                    if time.monotonic() - self._saved > self.asked.save_every:
                        self._save()
        self._save()

    def _finish_epoch(self, event: Epoch) -> str:
        """Remember an epoch; returns a line about it."""
        entry = event.entry
        self.history["epochs"].append(entry)
        self._last = event
        if event.best:
            self._best = self.trainer.evaluated
        scores = entry["scores"] if "scores" in entry else {"rsum": entry["rsum"]}
        scores |= {f"{name} rsum": value for name, value in entry.get("other rsum", {}).items()}
        told = "  ".join(f"{name} {value:.1f}" for name, value in scores.items())
        best = " (best)" if event.best else ""
        for note in event.notes:
            print(f"warning: {note}", file=sys.stderr)
        about = f"{entry['phase']} epoch {entry['epoch']}: loss {entry['loss']:.3f}  {told}{best}"
        return f"{about}  {entry['seconds']:.0f} s"

    def _save(self) -> None:
        """Write what is new since the last time. The state comes last: killed before it, a run repeats those epochs."""
        for name, weights in (("best", self._best), ("last", self.trainer.evaluated if self._last else None)):
            if weights:
                documents = {"history.json": self.history}
                folder, half = self.out / name, self.recipe.half
                save_checkpoint(folder, weights, self.tokenizer, self.config, documents=documents, half=half)
        if self._last:
            write_document(self.out / "history.json", self.history)
            save_figure(history_curves(self.history), self.out / "curves.png")
            if self._last.similarity is not None:
                title = f"validation pictures × their captions, epoch {self._last.entry['epoch']}"
                save_figure(similarity_matrix(self._last.similarity, title), self.out / "similarity.png")
        save_training_state(self.state_path, *self.trainer.state())
        self._best, self._last, self._saved = None, None, time.monotonic()

    def report(self) -> dict[str, AnyReport]:
        """Evaluate the best checkpoint as it was stored, on every split that was not trained on; write its card."""
        checkpoint = load_checkpoint(self.out / "best")
        reports = {}
        for split in ("val", "test"):
            for part in self.splits[split]:
                protocol = {"split": f"{part.name} {split}", "split hash": part.hash}
                source = part.source(checkpoint.tokenizer)
                reports[f"{part.name} {split}"] = checkpoint_report(checkpoint, source, protocol)
        if self.recipe.rival:
            reports |= self._rival_reports(set(reports))
        metrics = {name: report.as_dict() for name, report in reports.items()}
        write_document(self.out / "best" / "metrics.json", metrics)
        write_document(self.out / "best" / "history.json", self.history)
        trained_on = {part.name: len(part.pixels) for part in self.splits["train"]}
        card = model_card(self.recipe, self.command, self.asked.seed, trained_on, self.history, reports)
        write_document(self.out / "best" / "README.md", card)
        return reports

    def _rival_reports(self, names: set[str]) -> dict[str, AnyReport]:
        """Equal towers on the same data for as long, with the rival loss: trained here, reported and not kept."""
        phases = self.recipe.phases[:1]
        recipe = replace(self.recipe, loss=self.recipe.rival, loss_options={}, decoder=False, phases=phases)
        torch.manual_seed(self.asked.seed)
        model, _ = build_model(recipe, self.splits)
        trainer = self._trainer(recipe, model)
        with Bar(f"training the same tower with {recipe.loss}") as bar:
            for event in trainer.run():
                if isinstance(event, Step):
                    bar.update(event.pairs, event.pairs_in_phase, f"epoch {event.epoch + 1}")
        epochs = trainer.position.finished_epochs
        rival = Checkpoint(model, self.tokenizer, self.transform, self.config, self.out)
        reports: dict[str, AnyReport] = {}
        for split in ("val", "test"):
            for part in self.splits[split]:
                name = f"{part.name} {split}"
                if name in names:
                    source = part.source(self.tokenizer)
                    protocol = {"split": name, "loss": recipe.loss, "epochs": epochs}
                    reports[f"{name}, {recipe.loss} instead"] = checkpoint_report(rival, source, protocol)
        return reports


def _check_free(out: Path) -> None:
    """Raise TrainingError if a folder without a run's state holds what a run would overwrite and no run wrote."""
    checkpoints = [out / name for name in RUN_PARTS if (out / name).exists()]
    for path in checkpoints:
        try:
            check_replaceable(path)
        except CheckpointError as error:
            raise TrainingError(str(error)) from error
    foreign = () if _is_config(out / CONFIG) else (CONFIG,)  # ours is there from the start, before any checkpoint
    taken = next((out / name for name in (*foreign, *WRITTEN) if (out / name).exists()), None)
    if taken is not None and not checkpoints:
        raise TrainingError(
            f"{taken} is there and no run of ours is, so nothing in {out} is overwritten: name another folder with "
            "--out DIR"
        )


def _is_config(path: Path) -> bool:
    """Whether a file holds what a run of ours was asked to do."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and {"recipe"} <= content.keys() <= set(TrainConfig.__dataclass_fields__)


def _check_same(path: Path, asked: TrainConfig) -> None:
    """Raise TrainingError if a run began with another configuration than it is to go on with."""
    if not path.exists():  # a run of before there was such a file
        return
    differing = asked.differences(json.loads(path.read_text("utf-8")))
    if differing:
        raise TrainingError(f"cannot resume {path.parent} with {'; '.join(differing)}: give what the run began with")


def _path(given: AnyPath | None) -> Path | None:
    return None if given is None else Path(given)


def train(config: TrainConfig, say: Callable[[str], None] = print) -> TrainingResult:
    """What `crossmodal.train` does."""
    run = Run(config)
    before = sum(entry["seconds"] for entry in run.history["epochs"])
    run.fit(say)
    reports = run.report()
    spent = sum(entry["seconds"] for entry in run.history["epochs"])
    return TrainingResult(run.out, run.out / "best", reports, run.history, spent, before)
