"""The command `app`: Streamlit on our pages, with our settings, from any folder."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

from crossmodal._files import PACKAGE, PROJECT
from crossmodal.errors import InputError, install_command

SCRIPT = PACKAGE / "app" / "widgets" / "frame.py"
SETTINGS = next(place for place in (PROJECT / ".streamlit", PACKAGE / "app") if place.is_dir()) / "config.toml"


def add_app_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `app`."""
    parser.add_argument("--index", type=Path, metavar="DIR", help="the gallery to open; default: the demo, or the last")
    parser.add_argument("--port", type=int, default=8501, metavar="N", help="default 8501")
    parser.add_argument("--host", default="localhost", metavar="NAME", help="default localhost, this machine alone")


def run_app(options: argparse.Namespace) -> int:
    """Serve the pages until interrupted; the indexes are below the current folder."""
    if not find_spec("streamlit"):
        raise InputError(f"the app needs streamlit, which is not installed: `{install_command('streamlit')}`")
    flags = settings(SETTINGS) | {"server.port": str(options.port), "server.address": options.host}
    command = [sys.executable, "-m", "streamlit", "run", str(SCRIPT)]
    command += [f"--{name}={value}" for name, value in flags.items()]
    command += ["--", "--index", str(options.index)] if options.index else []
    paths = [str(PROJECT), *filter(None, [os.environ.get("PYTHONPATH")])]  # a clone is on nobody's path
    return subprocess.call(command, env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)})


def settings(path: Path) -> dict[str, str]:
    """Streamlit's settings in a file as its command takes them: what is no list, by dotted names."""
    found: dict[str, str] = {}

    def walk(prefix: str, table: dict[str, object]) -> None:
        for name, value in table.items():
            if isinstance(value, dict):
                walk(f"{prefix}{name}.", value)
            elif not isinstance(value, list):
                found[prefix + name] = str(value).lower() if isinstance(value, bool) else str(value)

    walk("", tomllib.loads(path.read_text("utf-8")))
    return found
