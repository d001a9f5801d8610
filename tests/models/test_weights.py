"""Pretrained weights in torchvision's and transformers' own formats, made on the spot, loaded by the code that
downloads the real ones.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from dataclasses import replace
from email.message import Message
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torchvision import models
from torchvision.models import DenseNet, DenseNet201_Weights

from crossmodal.errors import WeightsError
from crossmodal.models.backbones.registry import build_backbone
from crossmodal.models.encoders import TextEncoder
from crossmodal.models.tokenizer import TextTokenizer

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "dog", "run", "##ning", "##s", "cat", "."]
SENTENCES = ["A dog runs.", "a cat", "running"]


@pytest.fixture(scope="module")
def densenet() -> DenseNet:
    torch.manual_seed(0)
    network = models.densenet201(weights=None).eval()
    for module in network.modules():  # statistics that tell one layer from another
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 1.5)
    return network


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def features(densenet: DenseNet, images: Tensor) -> Tensor:
    with torch.no_grad():
        return densenet.features(images).relu().mean((2, 3))


@pytest.fixture(scope="module")
def published(densenet: DenseNet) -> bytes:
    """The state dict as torchvision publishes DenseNets: a pickle of tensors under names older than its network's."""
    state = {re.sub(r"(denselayer\d+\.(norm|conv))([12])\.", r"\1.\3.", k): v for k, v in densenet.state_dict().items()}
    state = {name: tensor for name, tensor in state.items() if not name.endswith("num_batches_tracked")}
    assert "features.denseblock1.denselayer1.norm.1.weight" in state
    file = io.BytesIO()
    torch.save(state, file)
    return file.getvalue()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """torch.hub's folder of downloads, empty."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


class Answer(io.BytesIO):
    """What urlopen gives: a file with headers."""

    def info(self) -> Message:
        message = Message()
        message["Content-Length"] = str(len(self.getvalue()))
        return message

    headers = property(info)


def serve(monkeypatch: pytest.MonkeyPatch, content: bytes) -> list[str]:
    """Answer every download with `content`; the addresses asked for."""
    asked: list[str] = []

    def urlopen(request: object, *_: object, **__: object) -> Answer:
        asked.append(str(getattr(request, "full_url", request)))
        return Answer(content)

    monkeypatch.setattr("torch.hub.urlopen", urlopen)
    return asked


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
@torch.no_grad()
def test_a_densenet201_file_gives_the_features_of_its_network(
    suffix: str, densenet: DenseNet, images: Tensor, features: Tensor, tmp_path: Path
):
    path = tmp_path / f"densenet201.{suffix}"
    save = save_file if suffix == "safetensors" else torch.save
    save(densenet.state_dict(), path)
    backbone = build_backbone("densenet201", str(path)).eval()
    assert backbone.width == 1920
    assert torch.allclose(backbone(images), features, atol=1e-4)
    assert features.std() > 0.01


@torch.no_grad()
def test_a_published_densenet_file_loads_from_disk_too(
    published: bytes, images: Tensor, features: Tensor, tmp_path: Path
):
    (tmp_path / "densenet201-c1103571.pth").write_bytes(published)
    backbone = build_backbone("densenet201", str(tmp_path / "densenet201-c1103571.pth")).eval()
    assert torch.allclose(backbone(images), features, atol=1e-4)


@torch.no_grad()
def test_imagenet_weights_are_taken_from_torchs_cache(
    published: bytes, images: Tensor, features: Tensor, cache: Path, monkeypatch: pytest.MonkeyPatch
):
    asked = serve(monkeypatch, b"")
    (cache / Path(DenseNet201_Weights.DEFAULT.url).name).write_bytes(published)
    backbone = build_backbone("densenet201", "imagenet").eval()
    assert torch.allclose(backbone(images), features, atol=1e-4)
    assert asked == []


@torch.no_grad()
def test_imagenet_weights_are_downloaded_and_their_hash_is_checked(
    published: bytes, images: Tensor, features: Tensor, cache: Path, monkeypatch: pytest.MonkeyPatch
):
    asked = serve(monkeypatch, published)
    name = f"densenet201-{hashlib.sha256(published).hexdigest()[:8]}.pth"  # a true hash: only the weights are others
    url = f"https://download.pytorch.org/models/{name}"
    monkeypatch.setattr(DenseNet201_Weights.DEFAULT, "_value_", replace(DenseNet201_Weights.DEFAULT.value, url=url))
    backbone = build_backbone("densenet201", "imagenet").eval()
    assert torch.allclose(backbone(images), features, atol=1e-4)
    assert asked == [url]
    assert (cache / name).read_bytes() == published


def test_a_download_with_another_hash_is_refused(published: bytes, cache: Path, monkeypatch: pytest.MonkeyPatch):
    asked = serve(monkeypatch, published)
    with pytest.raises(WeightsError, match="invalid hash value"):
        build_backbone("densenet201", "imagenet")
    assert asked == [DenseNet201_Weights.DEFAULT.url]
    assert list(cache.iterdir()) == []


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder such as `bert-base-uncased`: a masked language model and its tokeniser, but tiny."""
    from transformers import BertConfig, BertForMaskedLM, BertTokenizerFast

    folder = tmp_path_factory.mktemp("bert")
    torch.manual_seed(0)
    shape = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=48,
        max_position_embeddings=32,
        initializer_range=0.3,
    )
    BertForMaskedLM(shape).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    BertTokenizerFast(vocab={word: number for number, word in enumerate(WORDS)}).save_pretrained(folder)
    return folder


@torch.no_grad()
def cls_by_transformers(folder: Path) -> Tensor:
    """What transformers itself makes of the sentences: its tokeniser, its model, the first hidden state."""
    from transformers import AutoModel, AutoTokenizer

    inputs = AutoTokenizer.from_pretrained(folder)(SENTENCES, padding=True, return_tensors="pt")
    return AutoModel.from_pretrained(folder).eval()(**inputs).last_hidden_state[:, 0]


@torch.no_grad()
def cls_by_us(folder: Path) -> Tensor:
    tokenizer = TextTokenizer.pretrained(str(folder), max_length=32)
    text = TextEncoder(str(folder), dimension=8, pooling="cls").eval()
    return text.features(*tokenizer.pad(tokenizer.ids(SENTENCES)))


def test_a_bert_folder_gives_the_cls_vectors_that_transformers_gives(bert: Path):
    ours = cls_by_us(bert)
    assert ours.shape == (3, 24)
    assert torch.allclose(ours, cls_by_transformers(bert), atol=1e-6)
    assert (ours[0] - ours[1]).abs().max() > 0.1


def test_a_bert_file_with_the_names_of_its_first_release_loads(bert: Path, tmp_path: Path):
    expected = cls_by_us(bert)
    state = load_file(bert / "model.safetensors")
    renamed = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor
        for name, tensor in state.items()
    }
    assert "bert.embeddings.LayerNorm.gamma" in renamed
    save_file(renamed, tmp_path / "model.safetensors", metadata={"format": "pt"})
    for file in bert.iterdir():
        if file.suffix in {".json", ".txt"}:
            (tmp_path / file.name).write_bytes(file.read_bytes())
    assert torch.allclose(cls_by_us(tmp_path), expected, atol=1e-6)


def test_the_vocabulary_alone_is_enough_for_a_bert_folders_tokenizer(bert: Path, tmp_path: Path):
    (tmp_path / "vocab.txt").write_bytes((bert / "vocab.txt").read_bytes())
    (tmp_path / "config.json").write_bytes((bert / "config.json").read_bytes())
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": True}))
    whole, alone = (TextTokenizer.pretrained(str(folder)) for folder in (bert, tmp_path))
    assert alone.ids(SENTENCES) == whole.ids(SENTENCES)
    assert alone.tokens("Running") == ["[CLS]", "run", "##ning", "[SEP]"]
