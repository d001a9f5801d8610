from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import training_script
from crossmodal.cli import main as crossmodal
from crossmodal.models.checkpoint import load_checkpoint

ROOT = Path(__file__).resolve().parents[2]
SMOKE = ("--recipe", "starter", "--smoke", "--cpu")


def digest(folder: Path) -> str:
    return hashlib.sha256((folder / "best" / "model.safetensors").read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for runs that holds one finished smoke run, `whole`; decoded pictures are shared."""
    folder = tmp_path_factory.mktemp("runs")
    assert training_script.main([*SMOKE, "--epochs", "3", "--out", str(folder / "whole")]) == 0
    return folder


def test_a_run_leaves_a_checkpoint_with_card_history_and_pictures(runs: Path):
    whole = runs / "whole"
    assert {"best", "last", "history.json", "curves.png", "similarity.png"} <= {path.name for path in whole.iterdir()}
    history = json.loads((whole / "history.json").read_text())
    assert [entry["epoch"] for entry in history["epochs"]] == [1, 2, 3, 4]
    assert [entry["phase"] for entry in history["epochs"]] == ["heads", "finetune", "finetune", "finetune"]
    best = max(entry["rsum"] for entry in history["epochs"])
    metrics = json.loads((whole / "best" / "metrics.json").read_text())
    assert metrics["scenes val"]["rsum"] == pytest.approx(best, abs=12)  # weights stored in half precision
    assert "training_script.py --recipe starter --smoke" in (whole / "best" / "README.md").read_text()
    assert load_checkpoint(whole / "best").config["about"]["recipe"] == "starter"


def test_evaluate_measures_what_the_card_says(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    scenes = runs / "cache" / "scenes-val-48"
    plot = tmp_path / "heatmap.png"
    arguments = ["evaluate", "--checkpoint", str(runs / "whole" / "best"), "--images", str(scenes / "images")]
    arguments += ["--captions", str(scenes / "captions.txt"), "--json", "--plot", str(plot)]
    assert crossmodal(arguments) == 0
    report = json.loads(capsys.readouterr().out)
    card = json.loads((runs / "whole" / "best" / "metrics.json").read_text())["scenes val"]
    assert report["rsum"] == pytest.approx(card["rsum"], abs=1)
    assert report["image_to_text"].keys() == {"R@1", "R@5", "R@10", "median_rank"}
    low, high = report["intervals"]["rsum"]
    assert low <= report["rsum"] <= high
    assert report["protocol"]["split hash"] == card["protocol"]["split hash"]
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_a_list_chooses_the_pictures_that_are_evaluated(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    scenes = runs / "cache" / "scenes-val-48"
    names = sorted(path.name for path in (scenes / "images").iterdir())[:7]
    (tmp_path / "seven.txt").write_text("\n".join(names))
    arguments = ["evaluate", "--checkpoint", str(runs / "whole" / "best"), "--images", str(scenes / "images")]
    arguments += ["--captions", str(scenes / "captions.txt"), "--json"]
    assert crossmodal([*arguments, "--split", str(tmp_path / "seven.txt")]) == 0
    assert json.loads(capsys.readouterr().out)["protocol"]["pictures"] == 7


@pytest.mark.parametrize("epochs_seen", [1, 2])
def test_a_run_killed_by_sigkill_resumes_to_the_same_bytes(runs: Path, epochs_seen: int):
    out = runs / f"killed-{epochs_seen}"
    command = [sys.executable, "training_script.py", *SMOKE, "--epochs", "3", "--save-every", "0", "--out", str(out)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        seen = 0
        for line in process.stdout:
            seen += " epoch " in line
            if seen == epochs_seen:
                time.sleep(0.05)
                process.send_signal(signal.SIGKILL)
                break
        process.stdout.read()
    assert process.returncode == -signal.SIGKILL
    assert not (out / "best" / "README.md").exists()
    subprocess.run([*command, "--resume"], cwd=ROOT, check=True, capture_output=True)
    assert digest(out) == digest(runs / "whole")

    def numbers(folder: Path) -> list[tuple[float, float]]:
        epochs = json.loads((folder / "history.json").read_text())["epochs"]
        return [(entry["loss"], entry["rsum"]) for entry in epochs]

    assert numbers(out) == numbers(runs / "whole")


def test_a_folder_with_a_run_is_not_overwritten(runs: Path, capsys: pytest.CaptureFixture[str]):
    before = digest(runs / "whole")
    assert training_script.main([*SMOKE, "--out", str(runs / "whole")]) == 2
    assert "--resume" in capsys.readouterr().err
    assert digest(runs / "whole") == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--recipe", "flicker"], "flickr30k, flickr8k, match, mnist_labels"),
        (["--recipe", "flickr8k"], "--images DIR --captions FILE"),
        (["--recipe", "scenes", "--epochs", "0"], "epochs must be at least 1, not 0"),
    ],
)
def test_impossible_runs_say_what_is_wrong(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert training_script.main([*arguments, "--out", str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_second_run_of_a_process_may_have_another_precision(runs: Path):
    assert training_script.main([*SMOKE, "--mixed-precision", "bf16", "--out", str(runs / "half")]) == 0
    first, second = (json.loads((runs / name / "history.json").read_text())["epochs"][1] for name in ("whole", "half"))
    assert first["loss"] != second["loss"]


def test_a_run_goes_on_only_as_it_began(runs: Path, capsys: pytest.CaptureFixture[str]):
    before = digest(runs / "whole")
    assert training_script.main([*SMOKE, "--epochs", "4", "--out", str(runs / "whole"), "--resume"]) == 2
    assert "epochs [3] → [4]" in capsys.readouterr().err
    assert digest(runs / "whole") == before


def test_a_run_that_was_killed_before_its_first_save_begins_again(runs: Path):
    out = runs / "early"
    out.mkdir()
    (out / "config.json").write_bytes((runs / "whole" / "config.json").read_bytes())
    assert training_script.main([*SMOKE, "--epochs", "3", "--out", str(out), "--resume"]) == 0
    assert digest(out) == digest(runs / "whole")
