"""Environments of the peers, the programs that run in them, and how a program is watched; nothing is installed here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from benchmarks import peers
from benchmarks.peers import __main__ as command
from benchmarks.peers.knn_service import KnnService
from benchmarks.peers.network import WEIGHTS, make_network
from benchmarks.peers.running import last_object, run
from crossmodal.errors import InputError
from crossmodal.inference.encoder import open_encoder

Output = pytest.CaptureFixture[str]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder without any environment."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "crossmodal" / "peers"


class TestEnvironments:
    def test_a_peer_that_is_absent_says_how_to_get_it(self, home: Path) -> None:
        assert peers.python_of("clip-retrieval") is None
        assert peers.lacking("clip-retrieval").endswith("`python -m benchmarks.peers clip-retrieval`")
        assert not peers.add_to_path("graphs")
        assert not home.exists()
        with pytest.raises(InputError, match=r"clip-retrieval is not installed: `python -m benchmarks\.peers"):
            KnnService(np.eye(2, dtype=np.float32))
        with pytest.raises(InputError, match="unknown peer 'rclip': one of clip-retrieval, "):
            peers.python_of("rclip")

    @pytest.mark.parametrize("uv", ["/bin/uv", None])
    def test_it_is_made_by_uv_or_by_venv_and_is_there_afterwards(
        self, uv: str | None, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
    ) -> None:
        steps: list[list[str]] = []
        monkeypatch.setattr(peers.shutil, "which", lambda _: uv)
        monkeypatch.setattr(peers, "find_spec", lambda _: None)
        monkeypatch.setattr(peers.subprocess, "run", _pretending(steps))
        assert command.main(["sentence-transformers", "graphs"]) == 0
        assert [step[1:3] for step in steps] == (
            [["venv", "--python"], ["pip", "install"], ["pip", "install"]]
            if uv
            else [["-m", "venv"], ["-m", "pip"], ["-m", "pip"]]
        )
        assert all("==" in package for step in steps[1:] for package in step[-2:])
        assert all("--compile-bytecode" in step for step in steps[1:]) == bool(uv)  # pip does so by itself
        assert peers.python_of("sentence-transformers") == home / "sentence-transformers" / "bin" / "python"
        assert command.main(["sentence-transformers"]) == 0
        assert len(steps) == 3
        assert "is there" in capsys.readouterr().err

    def test_other_pins_make_it_again(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (home / "graphs").mkdir(parents=True)
        (home / "graphs" / "made.json").write_text(json.dumps({"python": [3, 1], "packages": []}))
        assert peers.lacking("graphs")
        monkeypatch.setattr(peers.subprocess, "run", _pretending([]))
        peers.make("graphs", lambda _: None)
        assert not peers.lacking("graphs")

    def test_a_failed_step_leaves_nothing_that_counts(
        self, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
    ) -> None:
        monkeypatch.setattr(peers.subprocess, "run", _pretending([], code=1))
        assert command.main(["graphs"]) == 2
        assert "graphs could not be installed" in capsys.readouterr().err
        assert command.main(["--list", "graphs"]) == 0
        assert "graphs\tgraphs is not installed" in capsys.readouterr().out
        assert not (home / "graphs" / "made.json").exists()


def _pretending(steps: list[list[str]], code: int = 0) -> object:
    def pretend(step: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        steps.append(step)
        folder = Path(step[step.index("--target") + 1] if "--target" in step else step[-1])
        if folder.is_absolute():
            folder.mkdir(parents=True, exist_ok=True)
        return subprocess.CompletedProcess(step, code)

    return pretend


class TestRunning:
    def test_what_it_said_last_and_held_most(self) -> None:
        program = (
            "import time; held = bytes(60_000_000); held = b'x' * 60_000_000; time.sleep(0.4); print('{\"n\": 3}')"
        )
        done = run([sys.executable, "-c", program], every=0.05)
        assert done.said == {"n": 3}
        assert done.wall > 0.4
        if sys.platform.startswith("linux"):
            assert 60e6 < done.own <= done.memory < 250e6

    def test_a_failure_is_an_error_with_its_last_words(self) -> None:
        with pytest.raises(InputError, match=r"ended with 1: .*no such thing"):
            run([sys.executable, "-c", "raise SystemExit('no such thing')"])

    def test_what_takes_too_long_is_ended(self) -> None:
        with pytest.raises(InputError, match="took more than 0 s"):
            run([sys.executable, "-c", "import time; time.sleep(30)"], timeout=0.2)

    def test_only_an_object_counts(self) -> None:
        assert last_object('{"a": 1}\nnoise\n{broken\n[1]\n') == {"a": 1}
        assert last_object("nothing") == {}


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_network(tmp_path_factory.mktemp("network"), dimension=8, size=64)


@pytest.fixture
def squares(tmp_path: Path) -> Path:
    """Three pictures with sides that every way of resizing rounds alike."""
    folder = tmp_path / "photos"
    folder.mkdir()
    noise = np.random.default_rng(0)
    for number in range(3):
        coarse = Image.fromarray(noise.integers(0, 255, (8, 8, 3), dtype=np.uint8))
        coarse.resize((96, 96)).save(folder / f"{number}.png")
    return folder


class TestPrograms:
    def test_the_naive_loop_gives_our_vectors(
        self, network: Path, squares: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
    ) -> None:
        monkeypatch.syspath_prepend(Path(peers.__file__).parent)
        import naive_images

        assert isinstance(naive_images, ModuleType)
        monkeypatch.setattr(naive_images, "SIDE", 64)
        out = squares.parent / "vectors.npy"
        options = [str(network / WEIGHTS), str(squares), str(out), "--batch", "2", "--workers", "0"]
        monkeypatch.setattr(sys, "argv", ["naive_images.py", *options])
        naive_images.main()
        assert json.loads(capsys.readouterr().out)["count"] == 3
        ours = open_encoder(network, "torch").encode_images([Image.open(path) for path in sorted(squares.iterdir())])
        assert (np.load(out) * ours).sum(1) == pytest.approx(np.ones(3), abs=1e-3)
        assert (ours[0] * ours[1]).sum() < 0.999

    @pytest.mark.parametrize(
        ("peer", "script"), [("sentence-transformers", "sentence_transformers_images"), ("clip-retrieval", "")]
    )
    def test_a_peer_gives_our_vectors(self, peer: str, script: str, tmp_path: Path, squares: Path) -> None:
        if not os.environ.get("CROSSMODAL_PEERS"):
            pytest.skip("starts the peers, a minute each: set CROSSMODAL_PEERS=1")
        if peers.lacking(peer):
            pytest.skip(peers.lacking(peer))
        from benchmarks.indexing_speed import by_script, clip_retrieval

        network, python = make_network(tmp_path / "network", dimension=8), str(peers.python_of(peer))
        method = by_script(peer, python, script, network / WEIGHTS, "--batch", "2")
        if not script:
            model = tmp_path / "model"
            run([python, peers.program("open_clip_model"), str(network / WEIGHTS), str(model)])
            method = clip_retrieval(peer, model, 2, 0)
        _, seconds, vectors = method.once(squares, tmp_path / "out")
        ours = open_encoder(network, "torch").encode_images([Image.open(path) for path in sorted(squares.iterdir())])
        assert seconds > 0
        assert (vectors * ours).sum(1) == pytest.approx(np.ones(3), abs=2e-3)


def test_a_network_is_made_once(network: Path) -> None:
    before = (network / WEIGHTS).stat().st_mtime_ns
    assert make_network(network, dimension=8, size=64) == network
    assert (network / WEIGHTS).stat().st_mtime_ns == before
