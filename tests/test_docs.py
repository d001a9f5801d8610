"""The documentation agrees with the program: commands, links and pictures that it names are there."""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path

import pytest

from crossmodal.cli import COMMANDS

ROOT = Path(__file__).resolve().parents[1]
PAGES = (*sorted(ROOT.glob("docs/*.md")), *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")))
PAGES += (ROOT / "benchmarks" / "RESULTS.md", ROOT / "model-checkpoints" / "starter" / "README.md")
PROGRAMS = {"build_index.py": "index", "training_script.py": "train"}
OURS = re.compile(
    r"python (?:-m crossmodal (?P<name>[\w-]+)|(?P<file>build_index\.py|training_script\.py)) (?P<rest>[^`\n]*)"
)
LINK = re.compile(r"\]\(([^)#:]+)(?:#([\w-]+))?\)")


def commands(page: Path) -> list[tuple[str, list[str]]]:
    """Every whole command of a page, by name and arguments; mere names, and those with … or alternatives, left out."""
    text = page.read_text("utf-8").replace("\\\n", " ")
    found = []
    for match in OURS.finditer(re.sub(r"(?<=[^\n`])\n(?=[^\n`#|]*`)", " ", text)):
        rest = match["rest"]
        if any(mark in rest for mark in ("…", "[", "|", "(", "COMMAND", "NAME")):
            continue
        found.append((match["name"] or PROGRAMS[match["file"]], shlex.split(rest, comments=True)))
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_takes_the_options_it_is_shown_with(page: Path) -> None:
    for name, arguments in commands(page):
        parser = argparse.ArgumentParser(exit_on_error=False)
        COMMANDS[name].add_arguments(parser)
        try:
            parser.parse_args(arguments)
        except (argparse.ArgumentError, SystemExit) as error:
            pytest.fail(f"{page.name}: `{name} {shlex.join(arguments)}`: {error}")


def test_commands_are_found_at_all() -> None:
    assert sum(len(commands(page)) for page in PAGES) > 20


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target, anchor in LINK.findall(page.read_text("utf-8")):
        there = (page.parent / target).resolve()
        assert there.exists(), f"{page.name}: {target}"
        headings = re.findall(r"(?m)^#+ (.+)$", there.read_text("utf-8")) if anchor else []
        assert not anchor or anchor in {re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings}


def test_every_page_is_linked_from_the_readme() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    assert [page.name for page in ROOT.glob("docs/*.md") if f"docs/{page.name}" not in readme] == []


def test_every_command_has_a_row() -> None:
    table = (ROOT / "docs" / "command-line.md").read_text("utf-8")
    assert [name for name in COMMANDS if f"crossmodal {name}" not in table] == []
