"""What a Python file imports and reads, found by parsing it, for tests of the house rules."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Source:
    """One parsed file of ours; `path` is relative to the root, with forward slashes."""

    path: str
    tree: ast.Module

    @property
    def is_pure(self) -> bool:
        """Tell whether the file promises to decide without clocks, chance or I/O."""
        return self.path.startswith("rules/") or (ast.get_docstring(self.tree) or "").startswith("Pure:")

    def modules(self) -> set[str]:
        """Return the dotted names of every module imported at run time, wherever in the file."""
        found: set[str] = set()
        for node in _at_run_time(self.tree):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                module = node.module or ""
                if node.level:
                    package = self.path.split("/")[: -node.level]
                    module = ".".join([*package, *([module] if module else [])])
                found |= {f"{module}.{alias.name}" for alias in node.names}
        return found

    def attributes(self) -> set[str]:
        """Return every `name.attribute` that the file uses, as written."""
        return {
            f"{node.value.id}.{node.attr}"
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        }

    def calls(self) -> set[str]:
        """Return the bare names that the file calls."""
        return {
            node.func.id
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }


def _at_run_time(tree: ast.AST):
    """Walk a tree, leaving out blocks that only a type checker reads."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            continue
        yield child
        yield from _at_run_time(child)


def parse(path: str, text: str) -> Source:
    """Return one parsed file."""
    return Source(path, ast.parse(text, path))


def sources(*rooms: str) -> list[Source]:
    """Return every Python file of ours below these folders (or these files), tests and benches only when named."""
    found = []
    for room in rooms:
        top = ROOT / room
        for path in [top] if top.is_file() else sorted(top.rglob("*.py")):
            found.append(parse(path.relative_to(ROOT).as_posix(), path.read_text("utf-8")))
    return found


def circles(found: list[Source]) -> list[list[str]]:
    """Return the groups of files that import one another in a circle at run time, wherever in the file they do it."""
    files = {source.path.removesuffix(".py").removesuffix("/__init__").replace("/", "."): source for source in found}
    leads = {
        name: {_file_of(module, files) for module in source.modules()} - {"", name} for name, source in files.items()
    }

    def reach(name: str) -> set[str]:
        seen, ahead = set(), list(leads[name])
        while ahead:
            if (one := ahead.pop()) not in seen:
                seen.add(one)
                ahead += leads[one]
        return seen

    reached = {name: reach(name) for name in files}
    groups = {
        tuple(sorted(one for one in reached[name] if name in reached[one])) for name in files if name in reached[name]
    }
    return [list(group) for group in sorted(groups)]


def _file_of(module: str, files: dict[str, Source]) -> str:
    """Return the file that a dotted name is, or stands in; "" for a name that is not of these files."""
    while module and module not in files:
        module = module.rpartition(".")[0]
    return module


def is_under(module: str, allowed: str) -> bool:
    """Tell whether a dotted name is a module or something inside it."""
    return module == allowed or module.startswith(allowed + ".")
