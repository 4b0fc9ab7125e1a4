"""What users read keeps to the plain words of the field: pages, answers, reasons, notices, guides, documents.

The strings of the code are read by `ast`: every sentence of a module, and the docstrings that users read (the
summaries of endpoints, the descriptions of protections). Of documents, what stands in code is left out."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BANNED = {  # as whole words, whatever their case; what to write instead
    "anew": "again",
    "whoever": "anyone who",
    "nobody": "no user, no one",
    "everybody": "all users",
    "somebody's": "a user's",
    "by themselves": "leave it out",
    "in so many words": "leave it out",
    "way out": "fix, solution",
    "of ours": "DashTrade's",
    "on our side": "in DashTrade",
    "lived through": "simulated by",
    "take back": "cancel",
    "take it back": "cancel",
    "taken back": "cancelled",
    "takes back": "cancels",
    "venue": "broker",
    "venues": "brokers",
    "venue's": "broker's",
    "unforeseen": "unexpected",
    "wants a person": "needs attention",
    "wants your attention": "needs attention",
    "kept by dashtrade": "managed by DashTrade",
    "held at": "placed at",
    "make a bot": "create a bot",
    "make it more like": "simulation settings",
    "in doubt": "unconfirmed",
    "order out": "open order",
    "is asked again": "retries",
    "cannot be asked": "is unreachable",
    "is believed after": "grace period",
    "the books differ": "position mismatch",
    "sort it out": "resolve",
    "give it to": "assign to",
    "log of deeds": "audit log",
    "start over with": "reset",
    "play money": "paper money",
    "bought and held": "buy & hold",
    "deepest fall": "max drawdown",
    "held on average": "avg. holding time",
    "below the highest point": "underwater",
    "traded most": "most traded",
    "makes no sense": "cannot be read",
    "made no sense": "cannot be read",
    "for good": "permanently",
    "looked at anew": "re-evaluated",
    "risk limit": "max loss per position",
    "second factor": "two-factor authentication",
    "two-factor sign-in": "two-factor authentication",
}
PATTERN = re.compile(r"(?<![\w'])(" + "|".join(map(re.escape, BANNED)) + r")(?![\w'])", re.IGNORECASE)
# Where a word is meant as it stands: file, and a part of the text that holds it.
ALLOWED = {
    ("dashtrade/domain/audit.py", "second factor"),  # stored names; pages show `label_of`
    ("docs/CHANGELOG.md", "the risk limit is"),
    ("docs/GLOSSARY.md", "In code also *venue*"),
    ("docs/GLOSSARY.md", "in code and REST *second factor*"),
}
MODULES = [
    *(ROOT / name for name in ("Home.py", "bot_database.py", "bot_engine.py", "encryption.py")),
    ROOT / "webhook_server.py",
    *sorted((ROOT / "pages").glob("*.py")),
    *sorted((ROOT / "dashtrade").rglob("*.py")),
]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
DOCSTRINGS_FOR_USERS = (ROOT / "dashtrade/api", ROOT / "dashtrade/domain/protections")
CODE = re.compile(r"^```.*?^```|`[^`]*`", re.DOTALL | re.MULTILINE)
COLLAPSED = re.compile(r"\s+")


def banned(text: str) -> list[str]:
    return [found.lower() for found in PATTERN.findall(COLLAPSED.sub(" ", text))]


def sentences(module: ast.Module, *, docstrings: bool) -> Iterator[str]:
    """Its strings, f-strings in one piece; none that could be a name of something. Of docstrings, those of
    what has a decorator."""
    described = {
        id(_docstring(node))
        for node in ast.walk(module)
        if not (docstrings and getattr(node, "decorator_list", []))
    }
    within = {
        id(part) for node in ast.walk(module) if isinstance(node, ast.JoinedStr) for part in node.values
    }
    for node in ast.walk(module):
        if id(node) in within or id(node) in described:
            continue
        text = _text(node)
        if text and not re.fullmatch(r"[a-z_.:/{}-]*", text):
            yield text


def _docstring(node: ast.AST) -> ast.Constant | None:
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    first = node.body[0] if isinstance(node, kinds) and node.body else None
    found = first.value if isinstance(first, ast.Expr) else None
    return found if isinstance(found, ast.Constant) and isinstance(found.value, str) else None


def _text(node: ast.AST) -> str:
    match node:
        case ast.Constant(value=str() as text):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(_text(part) or "{}" for part in parts)
    return ""


def texts(path: Path) -> list[str]:
    content = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return CODE.sub("", content).split("\n\n")
    for_users = any(room in path.parents for room in DOCSTRINGS_FOR_USERS)
    return list(sentences(ast.parse(content), docstrings=for_users))


def wrong(path: Path) -> list[str]:
    name = path.relative_to(ROOT).as_posix()
    return [
        f"{name}: {word} ({BANNED[word]}): {text.strip()[:120]}"
        for text in texts(path)
        for word in banned(text)
        if not any(where == name and part in text for where, part in ALLOWED)
    ]


def test_what_users_read_is_in_plain_words():
    assert [line for path in [*MODULES, *DOCUMENTS] for line in wrong(path)] == []


@pytest.mark.parametrize("where, part", sorted(ALLOWED))
def test_every_exception_is_needed(where: str, part: str):
    assert any(part in text and banned(text) for text in texts(ROOT / where))


def test_a_banned_word_is_found():
    module = ast.parse(
        '"""A module for nobody."""\n@endpoint\ndef refuse(broker, count):\n    """Whoever '
        'asks."""\n    say("Cancelled")\n    say(f"{count} orders were taken " f\'back at '
        "{broker}')\n    say(\"venue\")\n    say(label='Nobody')\n"
    )
    found = [word for text in sentences(module, docstrings=False) for word in banned(text)]
    assert sorted(found) == ["nobody", "taken back"], "a name in code is no sentence, a docstring is not read"
    with_docstrings = [word for text in sentences(module, docstrings=True) for word in banned(text)]
    assert sorted(with_docstrings) == ["nobody", "taken back", "whoever"]


@pytest.mark.parametrize("text", ["renewed", "avenues", "It was taken\n  backwards", "forgood"])
def test_a_part_of_a_word_is_none(text: str):
    assert banned(text) == []
