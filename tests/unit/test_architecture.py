"""The rules that hold the code together, read from the code itself.

Imports point one way (import-linter does not take top-level modules):

    ground, domain <- market <- tables, adapters <- database <- bot_database, worker_ipc <- dashtrade.engine
        <- bot_engine <- context <- services <- app <- worker, api, ui <- webhook_server
        <- Home, pages, cli, doctor

`ground` is what needs nothing of ours and may be used by all: GROUND below. The supervising process stays
small, so supervisor and ports stand on the ground alone. The command line and the doctor are doors: nobody
imports them but each other."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOP = ("Home", "webhook_server", "bot_engine", "bot_database", "encryption")
GROUND = {
    "dashtrade",
    "dashtrade.processes",
    "dashtrade.processes.parent_watchdog",
    "dashtrade.disk",
    "dashtrade.failpoints",
    "dashtrade.http_connection",
    "dashtrade.http_headers",
    "dashtrade.limits",
    "dashtrade.locks",
    "dashtrade.logs",
    "dashtrade.redaction",
    "dashtrade.security_log",
    "dashtrade.settings",
    "dashtrade.wsgi_threads",
    "encryption",
}
ADAPTERS = ("brokers", "feeds", "channels", "strategies")
LEVELS = [  # a module may import what stands above it here, and what stands in its own row
    ("ground",),
    ("domain", "small"),
    ("market",),
    ("tables", "adapters"),
    ("database",),
    ("bot_database", "worker_ipc"),
    ("engine",),
    ("bot_engine",),
    ("security_notes", "nonces", "trading_days", "candle_history"),
    ("context",),
    ("services",),
    ("app",),
    ("worker", "api", "ui", "http_server"),
    ("webhook_server",),
    ("doors", "pages"),
]
LEVEL = {room: number for number, row in enumerate(LEVELS) for room in row}
LONGEST = 400
LONGEST_FUNCTION = 50  # of code: docstrings, comments and empty lines apart


def modules() -> dict[str, Path]:
    files = [
        *(ROOT / "dashtrade").rglob("*.py"),
        *(ROOT / f"{name}.py" for name in TOP),
        *(ROOT / "pages").glob("*.py"),
    ]
    named = {}
    for file in files:
        if file.exists():
            parts = file.relative_to(ROOT).with_suffix("").parts
            named[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return named


MODULES = modules()


def room(module: str) -> str:
    first, _, rest = module.partition(".")
    second = rest.partition(".")[0]
    if module in GROUND:
        return "ground"
    if first != "dashtrade":
        return {"pages": "pages", "Home": "pages"}.get(first, first)
    if second in ADAPTERS:
        return "adapters"
    if second == "processes":
        return "worker_ipc" if module.endswith(".worker_ipc") else "small"
    return {"cli": "doors", "doctor": "doors"}.get(second, second)


@cache
def tree(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


@cache
def imports(module: str) -> tuple[str, ...]:
    """What of ours the module imports, wherever in it, annotations too."""
    return tuple(_imports(tree(module)))


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names if _ours(name.name))
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports name the whole way"
            if node.module and _ours(node.module):
                below = [f"{node.module}.{name.name}" for name in node.names]
                yield from (name if name in MODULES else node.module for name in below)


def _ours(name: str) -> bool:
    return name.partition(".")[0] in (*TOP, "dashtrade", "pages")


def test_every_module_has_its_place():
    assert {room(module) for module in MODULES} <= set(LEVEL)


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_one_way(module: str):
    here = room(module)
    upwards = [name for name in imports(module) if room(name) != here and LEVEL[room(name)] >= LEVEL[here]]
    assert not upwards, f"{module} imports {upwards}, which stand above or beside it"


@pytest.mark.parametrize("module", [m for m in MODULES if room(m) == "adapters"])
def test_adapters_import_the_domain_the_market_and_their_own_files_alone(module: str):
    parts = module.split(".")
    own = ".".join(parts[: 3 if len(parts) > 3 else 2])  # one broker's package knows of no other's
    assert all(name.startswith(("dashtrade.domain", "dashtrade.market", own)) for name in imports(module))


@pytest.mark.parametrize(
    "module", [m for m in MODULES if room(m) in ("api", "ui", "pages", "webhook_server")]
)
def test_pages_and_rest_render_and_read_no_tables(module: str):
    """What they show is read by services, which know whose it is."""
    assert not [name for name in imports(module) if room(name) == "tables"]


@pytest.mark.parametrize("module", [m for m in MODULES if room(m) == "domain"])
def test_the_domain_imports_the_standard_library_and_itself(module: str):
    every = {name.partition(".")[0] for name in _every_import(tree(module))}
    assert every <= set(sys.stdlib_module_names) | {"dashtrade"}
    assert all(name.startswith("dashtrade.domain") for name in imports(module))


@pytest.mark.parametrize("module", [m for m in MODULES if room(m) == "market"])
def test_the_market_imports_the_domain_and_itself(module: str):
    assert all(name.startswith(("dashtrade.domain", "dashtrade.market")) for name in imports(module))


@pytest.mark.parametrize("module", [m for m in MODULES if room(m) in ("ground", "small")])
def test_shared_modules_import_only_shared_modules(module: str):
    assert {room(name) for name in imports(module)} <= (
        {"ground", "small"} if room(module) == "small" else {"ground"}
    )


def test_no_files_import_each_other_in_a_circle():
    below = {module: set(imports(module)) & set(MODULES) - {module} for module in MODULES}
    while free := [module for module, wanted in below.items() if not wanted]:
        for module in free:
            del below[module]
        for wanted in below.values():
            wanted.difference_update(free)
    assert not below, f"in or above a circle: {sorted(below)}"


@pytest.mark.parametrize("module", MODULES)
def test_what_is_private_stays_in_its_file(module: str):
    modules, taken = set(), []
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.ImportFrom) and node.module and _ours(node.module):
            taken += [name.name for name in node.names if _is_private(name.name)]
            modules |= {
                name.asname or name.name for name in node.names if f"{node.module}.{name.name}" in MODULES
            }
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            taken += [node.attr] if _is_private(node.attr) else []
    assert not taken


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


@pytest.mark.parametrize("module", MODULES)
def test_no_decorator_is_gone_around_and_nothing_is_kept_by_its_address(module: str):
    """A number of `id(…)` is given to another object once the first is gone."""
    nodes = list(ast.walk(tree(module)))
    assert not [node for node in nodes if isinstance(node, ast.Attribute) and node.attr == "__wrapped__"]
    calls = [node for node in nodes if isinstance(node, ast.Call) and ast.unparse(node.func) == "id"]
    assert len(calls) == {"dashtrade.brokers.alpaca.sdk": 2}.get(
        module, 0
    )  # the causes of one error, no cache


@pytest.mark.parametrize("module", MODULES)
def test_a_broker_says_what_it_can_do_and_is_not_felt_for(module: str):
    felt = [
        node
        for node in ast.walk(tree(module))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("getattr", "hasattr")
        and re.search(r"\b(broker|venue|feed|adapter)\b", ast.unparse(node.args[0]))
    ]
    assert not felt


@pytest.mark.parametrize("module", [m for m in MODULES if room(m) in ("domain", "engine")])
def test_what_flows_is_a_record(module: str):
    """Frozen for the type checker alone, as `dashtrade/domain/record.py` says."""
    frozen = [
        node
        for node in ast.walk(tree(module))
        if isinstance(node, ast.Call) and any(word.arg == "frozen" for word in node.keywords)
    ]
    assert not frozen


def _every_import(node: ast.AST) -> Iterator[str]:
    for child in ast.walk(node):
        if isinstance(child, ast.Import):
            yield from (name.name for name in child.names)
        elif isinstance(child, ast.ImportFrom) and child.module:
            yield child.module


def test_only_the_system_clock_asks_what_time_it_is():
    asked = []
    for module in MODULES:
        for node in ast.walk(tree(module)):
            if isinstance(node, ast.Call) and re.search(
                r"(datetime|date)\.(now|utcnow|today)$|^time\.(time|time_ns)$", ast.unparse(node.func)
            ):
                asked.append(module)
    # The doctor compares the machine's own clock with its files, and a page says how long ago: that is no
    # business time.
    assert set(asked) - {"dashtrade.doctor", "dashtrade.ui.kit.format"} == {"dashtrade.domain.ports"}
    assert asked.count("dashtrade.domain.ports") == 1


def test_no_broker_and_no_chart_is_loaded_by_the_application():
    heavy = ("ccxt", "alpaca", "streamlit", "pandas", "numpy", "plotly", "lark", "numba")
    script = (
        f"import sys, dashtrade.app, webhook_server, dashtrade.worker.worker; print([n for n in {heavy!r} "
        "if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_only_risk_makes_an_approval():
    made = [
        m
        for m in MODULES
        for node in ast.walk(tree(m))
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Approved")
    ]
    assert made == ["dashtrade.domain.decisions.risk"]


def test_an_approval_made_elsewhere_is_refused():
    from dashtrade.domain.decisions.risk import Approved

    with pytest.raises(TypeError, match=r"only risk\.review approves"):
        Approved(steps=(), checks=())


def takes_owner(query: object) -> bool:
    """A user's id. (The owner of a lane's lease is a worker, and a text.)"""
    owner = inspect.signature(query).parameters.get("owner")  # type: ignore[arg-type]
    return owner is not None and owner.annotation == "int"


@pytest.mark.parametrize(
    "module",
    [
        m
        for m in MODULES
        if m.startswith("dashtrade.tables.") and not m.endswith((".base", ".compiled_sql", ".exit_columns"))
    ],
)
def test_every_query_takes_its_owner_or_is_named_as_the_systems(module: str):
    loaded = importlib.import_module(module)
    queries = {
        name: value
        for name, value in vars(loaded).items()
        if inspect.isfunction(value)
        and value.__module__ == module
        and not name.startswith("_")
        and "conn" in inspect.signature(value).parameters
    }
    free = {name for name, query in queries.items() if not takes_owner(query)}
    named = {name for name in loaded.SYSTEM if not inspect.isclass(getattr(loaded, name))}
    assert free == named, "those without an owner, and those that SYSTEM names, are the same"


def test_a_file_can_be_read_in_one_sitting():
    """Product, pages, tests and benches alike."""
    folders = ("tests", "bench")
    files = [*MODULES.values(), *(file for folder in folders for file in (ROOT / folder).rglob("*.py"))]
    long = {
        file.relative_to(ROOT).as_posix()
        for file in files
        if len(file.read_text(encoding="utf-8").splitlines()) > LONGEST
    }
    assert not long, f"longer than {LONGEST} lines: {sorted(long)}"


def test_a_function_fits_on_a_screen():
    long: set[str] = set()
    for module, file in MODULES.items():
        lines = file.read_text(encoding="utf-8").splitlines()
        functions = [
            n for n in ast.walk(tree(module)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)
        ]
        long |= {f"{module}.{one.name}" for one in functions if len(_code(one, lines)) > LONGEST_FUNCTION}
    assert not long, f"longer than {LONGEST_FUNCTION} lines: {sorted(long)}"


def _code(function: ast.FunctionDef | ast.AsyncFunctionDef, lines: list[str]) -> list[str]:
    first = function.body[0]
    has_doc = ast.get_docstring(function) is not None
    doc = range(first.lineno, (first.end_lineno or 0) + 1) if has_doc else range(0)
    numbered = range(function.lineno, (function.end_lineno or 0) + 1)
    found = [lines[number - 1].strip() for number in numbered if number not in doc]
    return [line for line in found if line and not line.startswith("#")]


@pytest.mark.parametrize("module", [m for m in MODULES if room(m) != "pages"])
def test_a_module_says_why_it_exists(module: str):
    assert ast.get_docstring(tree(module))
