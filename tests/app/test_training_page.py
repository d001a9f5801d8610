"""The training page: curves, numbers and card of every recipe's checkpoints."""

from __future__ import annotations

import json
from pathlib import Path

from tests.app.frame import TRAINING, app, checkpoint


def test_the_training_page_shows_curves_metrics_and_the_card():
    folder = checkpoint(Path("runs/mine/best"))
    recalls = {"R@1": 21.5, "R@5": 50.0, "R@10": 63.0, "median_rank": 5.0}
    report = {"rsum": 269.0, "image_to_text": recalls, "text_to_image": recalls, "protocol": {"split": "dev"}}
    report["intervals"] = {"image_to_text R@1": [20.0, 23.0], "rsum": [260.0, 278.0]}
    (folder / "metrics.json").write_text(json.dumps({"dev": report}))
    epoch = {"epoch": 1, "phase": "heads", "loss": 3.0, "rsum": 269.0}
    (folder.parent / "history.json").write_text(json.dumps({"recipe": "scenes", "epochs": [epoch]}))
    (folder / "README.md").write_text("---\nlicense: mit\n---\n# A card\n<b>tags</b>")
    at = app()
    at.run()
    at.switch_page(TRAINING).run()
    assert not at.exception
    assert at.selectbox("checkpoint").options == ["runs/mine/best"]
    assert len(at.get("image")) == 1
    assert list(at.dataframe[0].value["R@1"]) == ["21.5 [20.0, 23.0]", "21.5"]
    assert list(at.dataframe[0].value["rsum"]) == ["", "269.0 [260.0, 278.0]"]
    assert at.markdown[-1].value.strip().startswith("# A card")


def test_the_training_page_bears_a_checkpoint_without_documents():
    folder = checkpoint(Path("model-checkpoints/bare"))
    (folder / "metrics.json").write_text("{broken")
    (folder / "history.json").write_text("[]")
    at = app().run()
    at.switch_page(TRAINING).run()
    assert not at.exception
    assert ["no history.json" in at.info[0].value, "no metrics.json" in at.info[1].value] == [True, True]


def test_the_training_page_shows_the_values_of_other_recipes_and_their_scores():
    folder = checkpoint(Path("runs/digits/best"))
    values = {"accuracy, seen forms": 99.125, "cosine of true pairs": 0.93}
    report = {"kind": "labels", "headline": "accuracy 99.1 *of* 100", "values": values, "protocol": {"split": "test"}}
    report |= {"warnings": ["all vectors are *alike*"], "rows": [{"form": "tres", "withheld": True}]}
    (folder / "metrics.json").write_text(json.dumps({"test": report}))
    epoch = {"epoch": 1, "phase": "train", "loss": 0.2, "scores": {"accuracy": 98.0}}
    (folder.parent / "history.json").write_text(json.dumps({"recipe": "digits", "epochs": [epoch]}))
    at = app().run()
    at.switch_page(TRAINING).run()
    assert not at.exception
    assert at.dataframe[0].value.to_numpy().tolist() == [
        [*pair] for pair in zip(values, ["99.125", "0.93"], strict=True)
    ]
    assert "accuracy 99.1 *of* 100" in at.markdown[0].value.replace("\\", "")
    assert len(at.get("image")) == 1
    assert at.warning[0].value.replace("\\", "") == "all vectors are *alike*"
    assert at.dataframe[1].value.to_numpy().tolist() == [["tres", True]]
    assert [expander.label for expander in at.expander] == ["Case by case, test", "How this was measured"]
