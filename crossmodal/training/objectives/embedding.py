"""Two towers on one unit sphere: a loss on the cosines of a batch, and a decoder that draws vectors again.

Shapes: N pictures, B batch, M texts, V words, W pooled width, D embedding, S side in pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from crossmodal.datasets.sources import Source
from crossmodal.errors import InputError
from crossmodal.evaluation.reports import labelled_report, redrawn
from crossmodal.evaluation.retrieval import Report, ScoreReport, retrieval_report
from crossmodal.images.transforms import ImageTransform, as_drawn
from crossmodal.models.batching import eval_mode
from crossmodal.models.dual import CrossModalModel
from crossmodal.models.tokenizer import TextTokenizer
from crossmodal.recipes import Phase
from crossmodal.training.gradient_cache import backward_in_chunks
from crossmodal.training.losses import loss_named, marked, reconstruction
from crossmodal.training.objectives.base import Batch, Judgement, Objective, ln_of_batch
from crossmodal.training.objectives.views import drawn_maps, frozen_views

SHOWN_PAIRS = 40
CACHED_AT_ONCE = 256  # pictures between two reports of progress; a multiple of the model's own batches of 64
MARKED_WEIGHT, MARKED_QUERIES, MARKED_PICTURES = 0.5, 4, 2  # a step; pictures of either kind a query
NO_LABELS = "this loss needs labelled pictures: choose another --loss, or a recipe with labels"


@dataclass(frozen=True)
class _Texts:
    """The texts of a batch: ids of each, the picture of the batch it came with (M,), which match what (B, M)."""

    ids: Sequence[Sequence[int]]
    picture: np.ndarray
    rows: np.ndarray | None
    positive: Tensor


@dataclass(frozen=True)
class _Features:
    """Cached pooled features of one source: image (V, N, W) for V views; text (C, W) of all captions, None of words."""

    image: Tensor
    text: Tensor | None


class EmbeddingObjective(Objective[CrossModalModel]):
    """A loss by name on the cosines of pictures with texts.

    options: what the loss is given besides.
    judged_by: "retrieval" for pictures with captions, "labels" or "classes" for labelled ones.

    Raises InputError for an unknown loss, or one that needs labels where there are none.
    """

    def __init__(
        self,
        model: CrossModalModel,
        tokenizer: TextTokenizer,
        transform: ImageTransform,
        sources: Sequence[Source],
        validation: Sequence[Source],
        loss: str = "symmetric_clip",
        options: Mapping[str, Any] | None = None,
        judged_by: str = "retrieval",
    ) -> None:
        super().__init__(model, tokenizer, transform, sources, validation)
        self.loss_name, self.loss, self.options = loss, loss_named(loss), dict(options or {})
        self.judged_by = judged_by
        if self.loss.texts == "labels" and any(source.words is None for source in self.sources):
            raise InputError(f"--loss {loss}: {NO_LABELS}")
        lacking = [name for name in self.loss.scalars if getattr(model, name) is None]
        if lacking:
            raise InputError(f"--loss {loss} needs a model with {', '.join(lacking)}")
        self._features: dict[int, _Features] = {}
        self._views: dict[int, Tensor] = {}
        self._starts = [np.cumsum([0, *map(len, source.captions)]) for source in self.sources]

    def chance(self, batch_size: int) -> tuple[str, float] | None:
        """ln of the batch for symmetric CLIP; the others have no one number."""
        return ln_of_batch(batch_size) if self.loss_name == "symmetric_clip" else None

    def prepare(self, phase: Phase, accelerator: Accelerator | None = None) -> None:
        """Cache pooled features once where both backbones are frozen, or views where the first stages are."""
        self._features = self._cached_features(phase.mirror) if phase.heads_only else {}
        self._views = frozen_views(self, phase, accelerator) if phase.views and not phase.heads_only else {}

    def read_ahead(self, batches: Sequence[Batch]) -> None:
        """Nothing where features or views stand for pixels."""
        if not self._features and not self._views:
            super().read_ahead(batches)

    def backward(self, phase: Phase, batch: Batch, first_epoch: bool, accelerator: Accelerator) -> float:
        """One batch, at once or in chunks by gradient caching, and some of what a person marked beside it."""
        loss = self._backward(phase, batch, first_epoch, accelerator)
        if not phase.vectors or not self.sources[batch.source].marked:
            return loss
        judged = phase.vectors * MARKED_WEIGHT * self._marked_loss(batch.source, accelerator)
        accelerator.backward(judged)
        return loss + float(judged.detach())

    def _backward(self, phase: Phase, batch: Batch, first_epoch: bool, accelerator: Accelerator) -> float:
        if phase.chunk and phase.chunk < len(batch.rows):
            return self._backward_in_chunks(phase, batch, first_epoch, accelerator)
        with accelerator.autocast():
            image, values = self._image_vectors(phase, batch)
        total = image.new_zeros(())
        if phase.vectors:
            texts = self._texts(batch)
            with accelerator.autocast():
                text = self._text_vectors(batch, texts, slice(None))
            total = phase.vectors * self._loss(image.float(), text.float(), texts.positive, first_epoch)
        if phase.reconstruction:
            decoder = self.model.decoder
            if decoder is None:
                raise InputError(f"phase {phase.name} trains a decoder, but the recipe has none")
            with accelerator.autocast():
                drawn = decoder(image)
            total = total + phase.reconstruction * reconstruction(drawn.float(), as_drawn(values))
        accelerator.backward(total)
        return float(total.detach())

    def _backward_in_chunks(self, phase: Phase, batch: Batch, first_epoch: bool, accelerator: Accelerator) -> float:
        if phase.reconstruction:
            raise InputError(
                f"phase {phase.name} trains a decoder, which gradient caching does not serve: drop the chunk"
            )
        texts, size = self._texts(batch), phase.chunk

        def encode(number: int) -> tuple[Tensor, Tensor]:
            start = number * size
            first, last = np.searchsorted(texts.picture, [start, start + size])
            with accelerator.autocast():
                image, _ = self._image_vectors(phase, batch.part(start, size))
                text = self._text_vectors(batch, texts, slice(int(first), int(last)))
            return image.float(), text.float()

        loss = backward_in_chunks(
            encode,
            -(-len(batch.rows) // size),
            lambda image, text: phase.vectors * self._loss(image, text, texts.positive, first_epoch),
            accelerator.backward,
        )
        return float(loss)

    def _marked_loss(self, number: int, accelerator: Accelerator) -> Tensor:
        """Of a few marked queries, each with a few of its pictures and a caption of each disliked one.

        In eval mode: pictures so few would spoil the statistics of batch norm.
        """
        source, losses = self.sources[number], []
        with eval_mode(self.model), accelerator.autocast():
            for place in torch.randperm(len(source.marked))[:MARKED_QUERIES].tolist():
                query = source.marked[place]
                liked, disliked = _few(query.liked), _few(query.disliked)
                captions = [int(torch.randint(len(source.captions[row]), ())) for row in disliked]
                ids = [query.ids, *(source.captions[row][at] for row, at in zip(disliked, captions, strict=True))]
                cosines = self._plain_images(number, [*disliked, *liked]) @ self.model.text(*self.padded(ids)).T
                wrong, right = cosines[: len(disliked), 0], cosines[len(disliked) :, 0]
                own = cosines[: len(disliked), 1:].diagonal()
                losses.append(marked(wrong.float(), right.float(), own.float(), self.model.logit_scale))
        return torch.stack(losses).mean()

    def _plain_images(self, number: int, rows: Sequence[int]) -> Tensor:
        """Unit vectors (B, D) of some pictures as they are."""
        if self._features:
            cached = self._features[number].image[0]
            return self.model.image.project(cached[torch.tensor(rows)].to(self.device))
        pixels = torch.from_numpy(np.asarray(self.sources[number].pixels[list(rows)])).to(self.device)
        vectors: Tensor = self.model.image(self.transform.normalise(pixels))
        return vectors

    def after_step(self) -> None:
        """Keep the logit scale in its range."""
        self.model.clamp_logit_scale()

    def _loss(self, image: Tensor, text: Tensor, positive: Tensor, first_epoch: bool) -> Tensor:
        scalars = [getattr(self.model, name) for name in self.loss.scalars]
        options = {**self.options, **(self.loss.first_epoch if first_epoch else {})}
        loss: Tensor = self.loss.compute(image @ text.T, positive.to(image.device), *scalars, **options)
        return loss

    def _texts(self, batch: Batch) -> _Texts:
        """What the batch's pictures are compared with, and which of it is theirs."""
        source = self.sources[batch.source]
        mine = batch.rows if source.labels is None else source.labels[batch.rows]
        positions = np.arange(len(batch.rows))
        if self.loss.texts == "labels" and source.words is not None:
            words = source.words
            picture, rows, theirs = np.zeros(len(words.ids), np.int64), None, words.labels
            ids = list(words.ids)
        else:
            if self.loss.texts == "all":
                counts = [len(source.captions[row]) for row in batch.rows]
                picture = np.repeat(positions, counts)
                choices = np.concatenate([np.arange(count) for count in counts])
            else:
                picture, choices = positions, batch.choices
            ids = [source.captions[row][choice] for row, choice in zip(batch.rows[picture], choices, strict=True)]
            rows, theirs = self._starts[batch.source][batch.rows[picture]] + choices, mine[picture]
        return _Texts(ids, picture, rows, torch.from_numpy(mine[:, None] == theirs[None, :]))

    def _image_vectors(self, phase: Phase, batch: Batch) -> tuple[Tensor, Tensor]:
        """Vectors (B, D) and the pixels they are of, float32 (B, 3, S, S) in 0..255; with views, the maps instead."""
        if self._views:
            maps = drawn_maps(self._views[batch.source], batch.rows).to(self.device)
            return self._projected(self.model.image, self.model.image.backbone.pooled(maps)), maps
        if not self._features:
            values = self.augmented(phase, batch)
            return self._projected(
                self.model.image, self.model.image.features(self.transform.normalise(values))
            ), values
        cached, at = self._features[batch.source].image, torch.from_numpy(batch.rows)
        view = torch.randint(len(cached), (len(at),))
        vectors = self._projected(self.model.image, cached[view, at].to(self.device))
        if not phase.reconstruction:
            return vectors, vectors
        values = torch.from_numpy(self.sources[batch.source].pixels[batch.rows]).to(self.device).float()
        return vectors, torch.where(view.to(self.device).bool()[:, None, None, None], values.flip(-1), values)

    def _text_vectors(self, batch: Batch, texts: _Texts, part: slice) -> Tensor:
        """Vectors of a part of the batch's texts (m, D)."""
        cached = self._features[batch.source].text if self._features else None
        if cached is not None and texts.rows is not None:
            return self._projected(self.model.text, cached[torch.from_numpy(texts.rows[part])].to(self.device))
        ids = texts.ids[part]
        if not ids:
            return torch.empty(0, self.model.text.dimension, device=self.device)
        tower, padded = self.model.text, self.padded(ids)
        vectors: Tensor = tower(*padded) if self.loss.unit else self._projected(tower, tower.features(*padded))
        return vectors

    def _projected(self, tower: Any, features: Tensor) -> Tensor:
        """Unit vectors, or plain ones for a loss that wants those."""
        vectors: Tensor = tower.project(features) if self.loss.unit else tower.projection(tower.dropout(features))
        return vectors

    def _cached_features(self, mirror: bool) -> dict[int, _Features]:
        """Pooled features of every source, once: of each picture (and its mirror where that keeps captions true)."""
        sources = (*self.sources, *self.validation)
        mirrored = [mirror and source.mirror and number < len(self.sources) for number, source in enumerate(sources)]
        total = sum(len(source.pixels) * (1 + both) for source, both in zip(sources, mirrored, strict=True))
        cached, done = {}, 0
        self.progress(0, total)
        for number, source in enumerate(sources):
            pixels = torch.from_numpy(np.asarray(source.pixels))
            views = []
            for flipped in (False, True)[: 1 + mirrored[number]]:
                pieces = []
                for piece in pixels.split(CACHED_AT_ONCE):
                    seen = piece.flip(-1) if flipped else piece
                    pieces.append(self.model.image_features(seen, self.transform))
                    done += len(piece)
                    self.progress(done, total)
                views.append(torch.cat(pieces))
            text = self.model.text_features(source.all_captions, self.tokenizer) if source.words is None else None
            cached[number] = _Features(torch.stack(views), text)
        return cached

    # -- validation -------------------------------------------------------------------------------------------------

    def judge(self, phase: Phase) -> Judgement:
        """Retrieval both ways, or what labelled pictures are judged by; of each validation source."""
        vectors = [self._validation_vectors(number) for number in range(len(self.validation))]
        reports = [self._report(number, *vectors[number], phase) for number in range(len(vectors))]
        image, text = vectors[0]
        others = {source.name: report.score for source, report in zip(self.validation[1:], reports[1:], strict=True)}
        warnings = tuple(w for report in reports if isinstance(report, ScoreReport) for w in report.warnings)
        entry = {**reports[0].entry, **({"other rsum": others} if others else {})}
        entry |= {"logit_scale": float(self.model.logit_scale.detach().exp())} if self.loss.scalars else {}
        return Judgement(reports[0].score, entry, image, _leading(self.validation[0], image, text), warnings)

    def _report(self, number: int, image: Tensor, text: Tensor, phase: Phase) -> Report | ScoreReport:
        source = self.validation[number]
        if source.words is None:
            return retrieval_report(image, text, torch.from_numpy(source.owner), samples=0)
        drawn = redrawn(self.model, image, source, self.transform) if phase.reconstruction else None
        return labelled_report(self.judged_by, image, text, source, {"split": source.name}, drawn)

    def _validation_vectors(self, number: int) -> tuple[Tensor, Tensor]:
        """Unit vectors of a validation source: image (N, D), and of its captions or of its words, text (M, D)."""
        source = self.validation[number]
        ids = source.all_captions if source.words is None else source.words.ids
        cached = self._features.get(len(self.sources) + number)
        if cached is None:
            image = self.model.embed_images(torch.from_numpy(np.asarray(source.pixels)), self.transform)
            return image, self.model.embed_texts(ids, self.tokenizer)
        with torch.no_grad(), eval_mode(self.model):
            image = self.model.image.project(cached.image[0].to(self.device)).cpu()
            if cached.text is not None:
                return image, self.model.text.project(cached.text.to(self.device)).cpu()
        return image, self.model.embed_texts(ids, self.tokenizer)


def _few(rows: Sequence[int]) -> list[int]:
    """Some of the rows, by torch's generator."""
    return [rows[place] for place in torch.randperm(len(rows))[:MARKED_PICTURES].tolist()]


def _leading(source: Source, image: Tensor, text: Tensor) -> np.ndarray:
    """Cosines (n, n) of the first pictures with their first captions, or of pictures of each label with its word."""
    if source.words is None or source.labels is None:
        first = np.unique(source.owner, return_index=True)[1][:SHOWN_PAIRS]
        return np.asarray((image[source.owner[first]] @ text[first].T).numpy(), dtype=np.float32)
    words = {int(label): row for row, label in reversed(list(enumerate(source.words.labels)))}
    each = max(1, SHOWN_PAIRS // len(words))
    pictures = [
        row for label in list(words)[::-1][:SHOWN_PAIRS] for row in np.flatnonzero(source.labels == label)[:each]
    ]
    columns = [words[int(source.labels[row])] for row in pictures]
    return np.asarray((image[pictures] @ text[columns].T).numpy(), dtype=np.float32)
