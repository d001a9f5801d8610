"""What pyproject.toml cannot say: a wheel holds the shipped checkpoint and the app's settings inside the package."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
STARTER = ("model.safetensors", "config.json", "tokenizer.json", "metrics.json", "history.json", "README.md")


class BuildWithStarter(build_py):
    """The package's own files, then what lies beside it in a clone."""

    def run(self) -> None:
        """Copy both."""
        super().run()
        package = Path(self.build_lib) / "crossmodal"
        copies = {ROOT / "model-checkpoints/starter" / name: f"model-checkpoints/starter/{name}" for name in STARTER}
        copies[ROOT / ".streamlit/config.toml"] = "app/config.toml"
        for source, place in copies.items():
            (package / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, package / place)


setup(cmdclass={"build_py": BuildWithStarter})
