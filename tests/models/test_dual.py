from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from crossmodal.errors import InputError, WeightsError
from crossmodal.models.backbones.registry import FoldingSequential, build_backbone
from crossmodal.models.batching import eval_mode
from crossmodal.models.dual import CrossModalModel
from crossmodal.models.encoders import ImageEncoder, TextEncoder, declared_pooling, tiny_text_config
from crossmodal.models.tokenizer import TextTokenizer

WIDTHS = {"mobilenet_v2": 1280, "efficientnet_b0": 1280, "densenet121": 1024, "resnet18": 512, "convnext_tiny": 768}


def tiny_text(dimension: int = 8, pooling: str = "mean") -> TextEncoder:
    return TextEncoder(dimension=dimension, pooling=pooling, config=tiny_text_config(50))


@pytest.mark.parametrize("name", WIDTHS)
def test_the_pooled_width_is_read_off_the_network(name: str):
    tower = ImageEncoder(name, dimension=16).eval()
    assert tower.backbone.width == tower.projection.in_features == WIDTHS[name]
    vectors = tower(torch.randn(2, 3, 64, 64))
    assert vectors.shape == (2, 16)
    assert vectors.norm(dim=1).tolist() == pytest.approx([1, 1], abs=1e-5)


def test_a_vision_transformer_has_vectors_but_no_feature_map():
    backbone = build_backbone("vit_b_16").eval()
    assert backbone.width == 768
    with pytest.raises(InputError, match="no feature map"):
        backbone.feature_map(torch.zeros(1, 3, 224, 224))


@pytest.mark.parametrize("name", ["mobilenet_v2", "efficientnet_b0", "densenet121", "resnet18"])
def test_pooled_features_are_torchvisions_own(name: str, tmp_path: Path):
    from torchvision import models

    network = models.get_model(name, weights=None).eval()
    for module in network.modules():  # statistics that a fold must respect
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 1.5)
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    backbone = build_backbone(name, str(tmp_path / "weights.safetensors")).eval()
    images = torch.randn(2, 3, 64, 64)
    head = network.classifier if hasattr(network, "classifier") else network.fc
    seen: list[torch.Tensor] = []
    head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        network(images)
        ours = backbone(images)
    assert torch.allclose(ours, seen[0], atol=1e-4)


def test_folding_leaves_gradients_as_they_are():
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).eval()
    plain[1].running_mean.uniform_(-1, 1)
    plain[1].running_var.uniform_(0.5, 2)
    images = torch.randn(2, 3, 6, 6)
    plain(images).sum().backward()
    expected = [parameter.grad.clone() for parameter in plain.parameters()]
    plain.zero_grad()
    folding = FoldingSequential(*plain)
    assert torch.allclose(folding(images), plain(images), atol=1e-6)
    folding(images).sum().backward()
    for ours, theirs in zip(folding.parameters(), expected, strict=True):
        assert torch.allclose(ours.grad, theirs, atol=1e-4)


def test_batch_norm_in_training_is_not_folded():
    folding = FoldingSequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    folding(torch.randn(4, 3, 6, 6))
    assert folding[1].num_batches_tracked.item() == 1


def test_the_feature_maps_mean_is_the_pooled_feature():
    tower = ImageEncoder("mobilenet_v2", 8).eval()
    images = torch.randn(1, 3, 96, 96)
    assert torch.allclose(tower.feature_map(images).mean((2, 3)), tower.features(images), atol=1e-5)


def test_mean_pooling_ignores_padding():
    tower = tiny_text().eval()
    short = tower(torch.tensor([[2, 5, 6, 3]]), torch.ones(1, 4, dtype=torch.int64))
    padded = tower(torch.tensor([[2, 5, 6, 3, 0, 0]]), torch.tensor([[1, 1, 1, 1, 0, 0]]))
    assert torch.allclose(short, padded, atol=1e-5)


def test_training_batches_by_length_without_changing_the_features():
    tower = TextEncoder(dimension=8, config=tiny_text_config(50) | {"hidden_dropout_prob": 0.0})
    tower.eval()
    lengths = torch.tensor([3, 9, 5, 2, 7, 9, 4])
    ids = torch.randint(4, 50, (7, 9))
    mask = (torch.arange(9)[None] < lengths[:, None]).long()
    assert torch.allclose(tower._features_by_length(ids, mask), tower.features(ids, mask), atol=1e-5)


def test_cls_pooling_takes_the_first_token():
    tower = tiny_text(pooling="cls").eval()
    ids, mask = torch.tensor([[2, 5, 3]]), torch.ones(1, 3, dtype=torch.int64)
    assert torch.equal(tower.features(ids, mask), tower.token_features(ids, mask)[:, 0])
    with pytest.raises(InputError, match="max"):
        tiny_text(pooling="max")


def test_the_logit_scale_stays_between_0_and_ln_100():
    model = CrossModalModel(ImageEncoder("mobilenet_v2", 8), tiny_text())
    assert model.logit_scale.exp().item() == pytest.approx(1 / 0.07)
    for start, end in ((9.0, 100.0), (-3.0, 1.0)):
        model.logit_scale.data.fill_(start)
        model.clamp_logit_scale()
        assert model.logit_scale.exp().item() == pytest.approx(end, rel=1e-5)


def test_eval_mode_gives_every_part_its_own_mode_back():
    module = nn.Sequential(nn.Dropout(), nn.BatchNorm2d(2))
    module[1].eval()
    with eval_mode(module):
        assert not module[0].training
    assert module[0].training
    assert not module[1].training


def test_unknown_backbones_name_near_ones():
    with pytest.raises(InputError, match="mobilenet_v2"):
        build_backbone("mobilenet_v9")


def test_imagenet_weights_without_a_network_name_the_way_out(monkeypatch: pytest.MonkeyPatch):
    from urllib.error import URLError

    import torch.hub

    def refuse(*_: object, **__: object) -> None:
        raise URLError("no network")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", refuse)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", refuse)
    with pytest.raises(WeightsError, match="--image-weights PATH"):
        build_backbone("efficientnet_b0", "imagenet")


def test_weights_of_another_network_or_no_file_are_refused(tmp_path: Path):
    save_file({"layer": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match="lacking"):
        build_backbone("mobilenet_v2", str(tmp_path / "other.safetensors"))
    (tmp_path / "broken.pt").write_bytes(b"nonsense")
    with pytest.raises(WeightsError, match="not a state dict"):
        build_backbone("mobilenet_v2", str(tmp_path / "broken.pt"))
    with pytest.raises(WeightsError, match="no such file"):
        build_backbone("mobilenet_v2", str(tmp_path / "absent.pt"))


def test_a_pickle_that_runs_code_is_not_run(tmp_path: Path):
    import pickle

    class Trap:
        def __reduce__(self) -> tuple:
            return (Path.touch, (tmp_path / "executed",))

    (tmp_path / "trap.pt").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(WeightsError):
        build_backbone("mobilenet_v2", str(tmp_path / "trap.pt"))
    assert not (tmp_path / "executed").exists()


def test_pooling_is_read_from_a_sentence_transformers_folder(tmp_path: Path):
    assert declared_pooling(str(tmp_path)) is None
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text('{"pooling_mode_cls_token": true}')
    assert declared_pooling(str(tmp_path)) == "cls"


def test_a_text_model_that_is_not_there_names_the_option():
    with pytest.raises(WeightsError, match="--text-model PATH"):
        TextEncoder("./no-such-folder")


def test_the_shipped_checkpoints_tensors_fit_the_towers():
    from safetensors import safe_open

    from crossmodal.models.checkpoint_files import STARTER, read_config

    config = read_config(STARTER)
    text = TextEncoder(dimension=config["dimension"], config=config["text"]["config"])
    model = CrossModalModel(ImageEncoder(config["image"]["backbone"], config["dimension"]), text)
    with safe_open(STARTER / "model.safetensors", framework="pt") as file:
        shipped = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
    assert {name: list(tensor.shape) for name, tensor in model.state_dict().items()} == shipped
    assert json.loads(json.dumps(text.config)) == config["text"]["config"]
    assert (model.image.width, model.text.width) == (1280, 384)
    assert model.image.dimension == model.text.dimension == config["dimension"]


def test_a_vocabulary_pads_cuts_and_counts():
    tokenizer = TextTokenizer.trained_on(["a dog runs", "a cat sleeps"], max_length=5)
    rows = tokenizer.ids(["a dog", "a dog runs and runs and runs"])
    assert len(rows[1]) == 5
    ids, mask = tokenizer.pad(rows)
    assert ids.shape == mask.shape == (2, 5)
    assert mask.sum(1).tolist() == [len(rows[0]), 5]
    assert tokenizer.tokens("a dog") == ["[CLS]", "a", "dog", "[SEP]"]
    assert tokenizer.tokens("dot")[1:-1] == ["d", "##o", "##t"]


def test_vectors_are_float32_where_a_step_is_computed_in_less():
    tower = ImageEncoder("digit_cnn", 8).eval()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        vectors = tower(torch.randn(2, 3, 28, 28))
    assert vectors.dtype == torch.float32
    assert vectors.norm(dim=1).tolist() == pytest.approx([1, 1], abs=1e-6)
