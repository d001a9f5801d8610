"""How easy is the house to enter? Counts of a clone's own source, so that before and after can be compared.

    python -m benchmarks.house [CLONE …]

Each clone is a column. Nothing of it is imported or run.
"""

from __future__ import annotations

import argparse
import ast
import statistics
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

LONG = 50  # lines of a function that asks to be split
STORAGE = "index"  # the room whose lines are counted apart


def facts(clone: Path) -> dict[str, int | str]:
    """What is counted of one clone, by name."""
    package = clone / "crossmodal"
    sources = {path: path.read_text("utf-8") for path in sorted(package.rglob("*.py"))}
    trees = {path: ast.parse(text) for path, text in sources.items()}
    lines = {path: len(text.splitlines()) for path, text in sources.items()}
    functions = [length for tree in trees.values() for length in _function_lengths(tree)]
    readme = (clone / "README.md").read_text("utf-8")
    own = [count for path, count in lines.items() if path.name != "__init__.py"]
    return {
        "rooms at the top": sum(path.is_dir() for path in _entries(package)),
        "loose modules at the top, without __init__ and __main__": sum(path.is_file() for path in _entries(package)),
        "modules": len(sources),
        "median / largest file": f"{statistics.median(own):.0f} / {max(own)}",
        "median / largest function": f"{statistics.median(functions):.0f} / {max(functions)}",
        f"functions over {LONG} lines": sum(length > LONG for length in functions),
        "circles of modules, type-only imports included": len(circles(trees, package)),
        f"lines of {STORAGE}/": sum(
            count for path, count in lines.items() if STORAGE in path.relative_to(package).parts[:-1]
        ),
        "names in crossmodal.__all__": len(_promised(trees[package / "__init__.py"])),
        "words of the README": len(readme.split()),
    }


def circles(trees: dict[Path, ast.Module], package: Path) -> list[tuple[str, ...]]:
    """Groups of modules that import one another, at their tops or in functions or for types; packages' tables of
    contents left out, which hand on what their modules define.
    """
    names = {_dotted(path, package): path for path in trees if path.name != "__init__.py"}
    imports = {name: set(_imported(trees[path])) & set(names) - {name} for name, path in names.items()}
    reached = {name: _reachable(name, imports) for name in names}
    groups = {
        tuple(sorted(other for other in names if name in reached[other] and other in reached[name])) for name in names
    }
    return sorted(group for group in groups if len(group) > 1)


def _reachable(start: str, imports: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        for name in imports[waiting.pop()] - found:
            found.add(name)
            waiting.append(name)
    return found


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def _dotted(path: Path, package: Path) -> str:
    return ".".join(path.relative_to(package.parent).with_suffix("").parts)


def _entries(package: Path) -> Iterator[Path]:
    for path in package.iterdir():
        if (path.suffix == ".py" and not path.name.startswith("__")) or any(path.rglob("*.py")):
            yield path


def _function_lengths(tree: ast.Module) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield (node.end_lineno or node.lineno) - node.lineno + 1


def _promised(tree: ast.Module) -> list[str]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets):
            return list(ast.literal_eval(node.value))
    return []


def table(columns: dict[str, dict[str, int | str]]) -> str:
    """One row a fact and one column a clone, in Markdown."""
    names = next(iter(columns.values()))
    lines = [f"| | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
    lines += [f"| {name} | {' | '.join(str(column[name]) for column in columns.values())} |" for name in names]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    options = argparse.ArgumentParser(description="Counts of a clone's own source.")
    options.add_argument("clones", nargs="*", type=Path, default=[Path()], metavar="CLONE", help="default: this one")
    given = options.parse_args(arguments)
    print(table({str(clone): facts(clone) for clone in given.clones}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
