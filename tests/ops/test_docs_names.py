"""Files, functions, classes and columns that the pages of docs/ name are there: a page that was not carried
along with the code is found here."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

import dashtrade.app  # noqa: F401  declares every table
from dashtrade import failpoints
from dashtrade.tables.base import metadata

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
CODE = ("dashtrade", "pages", "tests", "bench", "migrations")
FILE = re.compile(r"(?<![\w/.-])[\w.][\w./-]*\.(?:py|sh|toml|lock|md|js|mjs|css|json|mako)\b")
FOLDER = re.compile(r"`([\w.-]+(?:/[\w.-]+)*/)`")
DOTTED = re.compile(r"`([A-Za-z_][\w/]*(?:\.[A-Za-z_]\w*)+)(?:\([^`]*\))?`")
CALL = re.compile(r"`([a-z_]\w*)\([^`]*\)`")
CLASS = re.compile(r"`([A-Z][a-z]+(?:[A-Z][a-z0-9]*)+)`")
# What an installation has and the code has not, and what a reader is to name.
ELSEWHERE = re.compile(
    r".*NAME.*|data/|(?:data/)?encryption\.key|worker\.(?:sock|lock|port)|(?:logs/)?\w+\.log|(?:[a-z]+\.)?example\.com"
)


@cache
def trees() -> dict[str, ast.Module]:
    """By dotted name, of all code."""
    files = [*ROOT.glob("*.py"), *(file for folder in CODE for file in (ROOT / folder).rglob("*.py"))]
    named = {}
    for file in files:
        parts = file.relative_to(ROOT).with_suffix("").parts
        named[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = ast.parse(
            file.read_text(encoding="utf-8")
        )
    return named


@cache
def classes() -> dict[str, list[ast.ClassDef]]:
    found: dict[str, list[ast.ClassDef]] = {}
    for tree in trees().values():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                found.setdefault(node.name, []).append(node)
    return found


@cache
def functions() -> set[str]:
    return {
        node.name
        for tree in trees().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def assigned(target: ast.expr) -> list[str]:
    match target:
        case ast.Tuple():
            return [name for part in target.elts for name in assigned(part)]
        case ast.Attribute():
            return [target.attr]
        case ast.Name():
            return [target.id]
    return []


def members(node: ast.Module | ast.ClassDef) -> dict[str, ast.AST]:
    """What a module or a class has by name; of a class also what its methods set on `self`."""
    found: dict[str, ast.AST] = {}
    for child in ast.walk(node) if isinstance(node, ast.ClassDef) else node.body:
        match child:
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                found[child.name] = child
            case ast.Assign() | ast.AnnAssign():
                targets = child.targets if isinstance(child, ast.Assign) else [child.target]
                found |= {name: child for target in targets for name in assigned(target)}
            case ast.Import() | ast.ImportFrom():
                found |= {alias.asname or alias.name: child for alias in child.names}
    return found


def leads_on(node: ast.Module | ast.ClassDef, parts: list[str]) -> bool:
    if not parts:
        return True
    found = members(node).get(parts[0])
    if found is None or len(parts) == 1:
        return found is not None
    return isinstance(found, ast.ClassDef) and leads_on(found, parts[1:])


def is_there(name: str) -> bool:
    """`module.function`, `folder/module.function`, `Class.method`, `table.column` or a whole module."""
    parts = name.replace("/", ".").split(".")
    if len(parts) == 2 and parts[0] in metadata.tables and parts[1] in metadata.tables[parts[0]].columns:
        return True
    for length in range(len(parts), 0, -1):
        suffix = ".".join(parts[:length])
        for module, tree in trees().items():
            if f".{module}".endswith(f".{suffix}") and leads_on(tree, parts[length:]):
                return True
    return any(leads_on(node, parts[1:]) for node in classes().get(parts[0], ()))


def missing(page: Path) -> list[str]:
    text = page.read_text(encoding="utf-8")
    code = re.sub(r"https?://\S+|\]\([^)]*\)", "", text)
    where = (ROOT, ROOT / "dashtrade", page.parent)
    files = {name for name in FILE.findall(code) if not any((folder / name).exists() for folder in where)}
    folders = {name for name in FOLDER.findall(code) if not any((folder / name).is_dir() for folder in where)}
    dotted = {name for name in DOTTED.findall(code) if not FILE.fullmatch(name)}
    gone = files | folders | {name for name in dotted if not is_there(name)}
    gone |= {name for name in CALL.findall(code) if name not in functions() and name not in classes()}
    gone |= {name for name in CLASS.findall(code) if name not in classes()}
    return sorted(name for name in gone if not ELSEWHERE.fullmatch(name))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_names_is_there(page: Path) -> None:
    assert missing(page) == [], "files are named from the repository's root, functions by their module"


def test_what_is_not_there_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "`dashtrade/app.py` `app.build_app` `Engine.accept` `signals.status` `tables/base.metadata` "
        "`build_app(settings)` `dashtrade/engine/` `dashtrade/none.py` `app.none` `Engine.none` "
        "`signals.none` `none_at_all(settings)` `dashtrade/none/` `NoneSuch`"
    )
    assert missing(page) == [
        "Engine.none",
        "NoneSuch",
        "app.none",
        "dashtrade/none.py",
        "dashtrade/none/",
        "none_at_all",
        "signals.none",
    ]


def test_every_table_stands_in_the_architecture_and_no_other() -> None:
    text = (ROOT / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| [^|]+ \| `dashtrade/tables/", text, re.MULTILINE)
    told = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert sorted(told) == sorted(metadata.tables)


def test_every_failpoint_stands_in_the_architecture() -> None:
    text = (ROOT / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")
    assert [name for name in failpoints.NAMES if f"`{name}`" not in text] == []


def glossary() -> list[list[str]]:
    text = (ROOT / "docs" / "GLOSSARY.md").read_text(encoding="utf-8")
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return [row for row in rows if row[0] != "word"]


def test_the_glossary_has_one_line_for_each_word_and_five_cells_in_each() -> None:
    rows = glossary()
    assert [row for row in rows if len(row) != 5] == []
    words = [word for row in rows for word in row[0].split(", ")]
    assert len(words) == len(set(words))


def test_what_the_glossary_calls_the_database_stands_there() -> None:
    names = [name for row in glossary() for name in re.findall(r"`([\w.]+)`", row[3])]
    columns = {
        f"{table}.{column.name}" for table in metadata.tables for column in metadata.tables[table].columns
    }
    assert names and [name for name in names if name not in metadata.tables and name not in columns] == []


def test_what_the_glossary_calls_the_pages_stands_on_one() -> None:
    drawn = [ROOT / "Home.py", *(ROOT / "pages").glob("*.py"), *(ROOT / "dashtrade" / "ui").rglob("*.py")]
    drawn.append(ROOT / "dashtrade" / "services" / "bots" / "spec.py")  # the form of a bot is drawn from it
    texts = [
        node.value
        for file in drawn
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    answer = "\n".join(texts)
    words = [word for row in glossary() for word in re.findall(r'"([^"]+)"', row[4])]
    assert words and [word for word in words if not re.search(rf"\b{re.escape(word)}\b", answer)] == []
