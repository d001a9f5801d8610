"""A training on disk: recipe and data → trainer → checkpoints, history, curves, and what a killed run goes on from.

OUT/best, OUT/last       checkpoints           OUT/state.safetensors   where a killed run stands
OUT/history.json         one entry an epoch    OUT/curves.png, OUT/similarity.png
OUT/../cache             decoded pictures and generated scenes, shared by runs beside each other
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from crossmodal.checkpoint import (
    load_checkpoint,
    load_training_state,
    model_config,
    save_checkpoint,
    save_training_state,
    write_document,
)
from crossmodal.data.pairs import Record, load_pairs
from crossmodal.data.pixels import DecodedPictures, decode_pictures
from crossmodal.data.scenes import write_scenes
from crossmodal.data.splits import split_records
from crossmodal.data.text import TextTokenizer
from crossmodal.data.transforms import ImageTransform
from crossmodal.errors import InputError, TrainingError
from crossmodal.evaluation import Report, retrieval_report, split_hash
from crossmodal.figures import history_curves, save_figure, similarity_matrix
from crossmodal.model_card import model_card
from crossmodal.models.allocator import keep_freed_memory
from crossmodal.models.dual import CrossModalModel
from crossmodal.models.encoders import TINY_TEXT_MODEL, ImageEncoder, TextEncoder, declared_pooling, tiny_text_config
from crossmodal.progress import Bar
from crossmodal.recipes import Recipe, recipe_named, smoke
from crossmodal.recipes.base import HEADS
from crossmodal.training import Epoch, Source, Step, Trainer

SAVE_STEPS_SECONDS = 300.0
SCENE_VALIDATION = 200


@dataclass(frozen=True)
class SplitPictures:
    """One split of one origin ("photos" or "scenes"), decoded."""

    name: str
    root: Path
    decoded: DecodedPictures

    def source(self, tokenizer: TextTokenizer, scene_share: float = 1.0) -> Source:
        """The same with its captions as token ids; a mirrored scene would make "left of" untrue."""
        captions = tuple(tuple(tokenizer.ids(record.captions)) for record in self.decoded.records)
        scenes = self.name == "scenes"
        return Source(self.name, self.decoded.pixels, captions, not scenes, scene_share if scenes else 1.0)


def chosen_recipe(options: argparse.Namespace) -> Recipe:
    """The recipe with the options that were given in place of its own values. Raises InputError."""
    recipe = recipe_named(options.recipe)
    if options.smoke:
        recipe = smoke(recipe)
    if options.heads_only:
        recipe = replace(recipe, phases=(replace(HEADS, epochs=1) if options.smoke else HEADS,))
    pooling = options.pooling or (declared_pooling(options.text_model) if options.text_model else None)
    given = {
        "image_backbone": options.image_backbone,
        "image_weights": options.image_weights,
        "text_model": options.text_model,
        "dimension": options.dimension,
        "pooling": pooling,
    }
    recipe = replace(recipe, **{name: value for name, value in given.items() if value is not None})
    if options.epochs is not None and options.epochs < 1:
        raise InputError(f"--epochs must be at least 1, not {options.epochs}")
    phases = [
        replace(
            phase,
            batch_size=options.batch_size or phase.batch_size,
            head_lr=phase.head_lr * options.lr_scale,
            image_lr=phase.image_lr * options.lr_scale,
            text_lr=phase.text_lr * options.lr_scale,
        )
        for phase in recipe.phases
    ]
    phases[-1] = replace(phases[-1], epochs=options.epochs or phases[-1].epochs)
    return replace(recipe, phases=tuple(phases))


def read_splits(options: argparse.Namespace, recipe: Recipe, cache: Path) -> dict[str, list[SplitPictures]]:
    """Decoded pictures with captions for "train", "val" and "test", photos before scenes.

    Raises InputError if the recipe needs photos and none are named, DataError for files that cannot be read.
    """
    splits: dict[str, list[SplitPictures]] = {"train": [], "val": [], "test": []}
    transform = ImageTransform(size=recipe.image_size)

    def decode(name: str, split: str, root: Path, records: tuple[Record, ...]) -> None:
        captioned = tuple(record for record in records if record.captions)
        if captioned:
            with Bar(f"decoding {name}, {split}") as bar:
                decoded = decode_pictures(root, captioned, transform, cache, bar.update)
            for picture, reason in decoded.skipped:
                print(f"skipped {picture}: {reason}", file=sys.stderr)
            splits[split].append(SplitPictures(name, root, decoded))

    if recipe.photos:
        if options.images is None or options.captions is None:
            raise InputError(f"recipe {recipe.name} trains on photos: name them with --images DIR --captions FILE")
        pairs = load_pairs(options.images, options.captions)
        for split, records in split_records(pairs.records, options.splits, options.seed).items():
            decode("photos", split, options.images, records)
    if recipe.scenes:
        counts = {"train": recipe.scenes, "val": min(SCENE_VALIDATION, recipe.scenes)}
        for split, count in counts.items():
            folder = cache / f"scenes-{split}-{count}"
            with Bar(f"drawing scenes, {split}") as bar:
                captions = write_scenes(folder, count, seed=0, split=split, progress=bar.update)
            decode("scenes", split, folder / "images", load_pairs(folder / "images", captions).records)
    for split in ("train", "val"):
        if not splits[split]:
            raise InputError(f"no picture with captions is in the {split} split: see --splits, or `validate`")
    return splits


def build_model(recipe: Recipe, splits: dict[str, list[SplitPictures]]) -> tuple[CrossModalModel, TextTokenizer]:
    """Both towers as the recipe says, and the tokeniser; the vocabulary of a tiny text tower is of train alone."""
    image = ImageEncoder(recipe.image_backbone, recipe.dimension, weights=recipe.image_weights)
    if recipe.text_model == TINY_TEXT_MODEL:
        texts = [text for part in splits["train"] for record in part.decoded.records for text in record.captions]
        tokenizer = TextTokenizer.trained_on(texts, max_length=recipe.max_length)
        config: dict[str, Any] | None = tiny_text_config(tokenizer.vocabulary_size)
    else:
        tokenizer, config = TextTokenizer.pretrained(recipe.text_model, recipe.max_length), None
    text = TextEncoder(recipe.text_model, recipe.dimension, recipe.pooling, config=config)
    return CrossModalModel(image, text, recipe.temperature, recipe.learn_temperature), tokenizer


class Run:
    """One training with its output folder."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.recipe = chosen_recipe(options)
        self.out: Path = options.out or Path("runs") / self.recipe.name
        self.state_path = self.out / "state.safetensors"
        if not options.resume and self.state_path.exists():
            raise TrainingError(
                f"{self.out} already holds a run: go on with --resume, or name another folder with --out DIR"
            )
        keep_freed_memory()
        torch.manual_seed(options.seed)
        self.splits = read_splits(options, self.recipe, self.out.parent / "cache")
        self.out.mkdir(parents=True, exist_ok=True)
        self.transform = ImageTransform(size=self.recipe.image_size)
        self.model, self.tokenizer = build_model(self.recipe, self.splits)
        self.command = "python training_script.py " + shlex.join(options.command)
        self.config = model_config(
            self.model,
            self.recipe.image_backbone,
            self.tokenizer,
            self.transform,
            recipe=self.recipe.name,
            seed=options.seed,
            command=self.command,
        )
        self.history: dict[str, Any] = {"recipe": self.recipe.name, "epochs": []}
        self._best: dict[str, Tensor] | None = None
        self._last: Epoch | None = None
        self._saved = time.monotonic()
        accelerator = Accelerator(cpu=options.cpu, mixed_precision=options.mixed_precision)
        sources, validation = (
            [part.source(self.tokenizer, self.recipe.scene_share) for part in self.splits[split]]
            for split in ("train", "val")
        )
        self.trainer = Trainer(
            self.model,
            self.tokenizer,
            self.transform,
            sources,
            validation,
            self.recipe.phases,
            options.seed,
            accelerator,
        )
        if options.resume:
            self._resume()

    def _resume(self) -> None:
        if not self.state_path.exists():
            print(f"nothing to resume in {self.out}: starting anew", file=sys.stderr)
            return
        tensors, position = load_training_state(self.state_path)
        self.trainer.restore(tensors, position)
        history = json.loads((self.out / "history.json").read_text("utf-8")) if position["finished_epochs"] else {}
        # an epoch that was written but whose state was not is trained again, with the same result
        self.history["epochs"] = history.get("epochs", [])[: position["finished_epochs"]]

    def fit(self) -> None:
        """Train to the end, saving every few minutes and after epochs, but not after each of many short ones."""
        bar = Bar("training")
        for event in self.trainer.run():
            if isinstance(event, Step):
                bar.line(
                    f"{event.phase} epoch {event.epoch + 1} step {event.step}/{event.steps} loss {event.loss:.3f}",
                    event.rate,
                    "pairs",
                    event.seconds_left,
                )
                if time.monotonic() - self._saved > SAVE_STEPS_SECONDS:
                    self._save()
            else:
                bar.clear()
                self._finish_epoch(event)
                if time.monotonic() - self._saved > self.options.save_every:
                    self._save()
        self._save()

    def _finish_epoch(self, event: Epoch) -> None:
        entry = event.entry
        self.history["epochs"].append(entry)
        self._last = event
        if event.best:
            self._best = self.trainer.evaluated
        others = "".join(f"  {name} rsum {value:.1f}" for name, value in entry.get("other rsum", {}).items())
        print(
            f"{entry['phase']} epoch {entry['epoch']}: loss {entry['loss']:.3f}  rsum {entry['rsum']:.1f}"
            f"{' (best)' if event.best else ''}{others}  {entry['seconds']:.0f} s",
            flush=True,
        )
        for note in event.notes:
            print(f"warning: {note}", file=sys.stderr)

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
            title = f"validation pictures × their captions, epoch {self._last.entry['epoch']}"
            save_figure(similarity_matrix(self._last.similarity, title), self.out / "similarity.png")
        save_training_state(self.state_path, *self.trainer.state())
        self._best, self._last, self._saved = None, None, time.monotonic()

    def report(self) -> dict[str, Report]:
        """Evaluate the best checkpoint as it was stored, on every split that was not trained on; write its card."""
        checkpoint = load_checkpoint(self.out / "best")
        reports = {}
        for split in ("val", "test"):
            for part in self.splits[split]:
                source = part.source(checkpoint.tokenizer)
                pixels = torch.from_numpy(source.pixels[:])
                counts = torch.tensor([len(captions) for captions in source.captions])
                flat = [ids for captions in source.captions for ids in captions]
                reports[f"{part.name} {split}"] = retrieval_report(
                    checkpoint.model.embed_images(pixels, checkpoint.transform),
                    checkpoint.model.embed_texts(flat, checkpoint.tokenizer),
                    torch.repeat_interleave(torch.arange(len(counts)), counts),
                    {"split": f"{part.name} {split}", "split hash": split_hash(part.decoded.records)},
                )
        metrics = {name: report.as_dict() for name, report in reports.items()}
        write_document(self.out / "best" / "metrics.json", metrics)
        write_document(self.out / "best" / "history.json", self.history)
        trained_on = {part.name: len(part.decoded.records) for part in self.splits["train"]}
        card = model_card(self.recipe, self.command, self.options.seed, trained_on, self.history, reports)
        write_document(self.out / "best" / "README.md", card)
        return reports


def train(options: argparse.Namespace) -> int:
    """Train a recipe with the options of training_script.py and print the report; returns the exit status."""
    run = Run(options)
    trained = sum(entry["seconds"] for entry in run.history["epochs"])
    run.fit()
    reports = run.report()
    spent = sum(entry["seconds"] for entry in run.history["epochs"])
    before = f", {trained:.0f} s of them before the resume" if trained else ""
    print(f"\ntrained {spent:.0f} s{before}; best checkpoint: {run.out / 'best'}")
    for name, report in reports.items():
        print(f"\n{name}: {report.protocol['pictures']} pictures, {report.protocol['captions']} captions\n{report}")
    print(f"\nnext: python build_index.py --images DIR --checkpoint {run.out / 'best'}")
    return 0
