"""The README and the manual claim only what is so, and every link in them leads somewhere."""

from __future__ import annotations

import json
import re
from argparse import ArgumentParser, _SubParsersAction
from pathlib import Path

import pytest
from flask import Flask

import webhook_server
from dashtrade.api.http import ENDPOINTS
from dashtrade.brokers import guide
from dashtrade.brokers.registry import BROKERS
from dashtrade.cli import parser
from dashtrade.domain.alerts.dialects import parse
from dashtrade.domain.protections import KINDS
from dashtrade.domain.values import Malformed
from dashtrade.feeds import guide as source_guide
from dashtrade.feeds.registry import SOURCES
from dashtrade.services.bots.spec import SETTINGS
from dashtrade.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
LONGEST_README = 150
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def manual(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def headings(text: str) -> set[str]:
    """The anchors that GitHub gives a page's headings."""
    found = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


def commands(program: ArgumentParser) -> list[str]:
    """`dashtrade up`, `dashtrade user add` and so on."""
    below = [action.choices for action in program._actions if isinstance(action, _SubParsersAction)]
    if not below:
        return [program.prog]
    return [command for choices in below for inner in choices.values() for command in commands(inner)]


def broken_links(page: Path) -> list[str]:
    broken = []
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        found = target.exists() and (not anchor or anchor in headings(target.read_text(encoding="utf-8")))
        broken += [] if found else [link]
    return broken


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= LONGEST_README


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    assert broken_links(page) == []


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    (tmp_path / "there.md").write_text("# One heading\n")
    page = tmp_path / "page.md"
    page.write_text(
        "[a](there.md) [b](there.md#one-heading) [c](gone.md) [d](there.md#none) ![e](no.png) [f](#here)"
    )
    assert broken_links(page) == ["gone.md", "there.md#none", "no.png", "#here"]


def test_every_page_of_docs_is_reached_from_the_readme() -> None:
    reached, left = {ROOT / "README.md"}, [ROOT / "README.md"]
    while left:
        page = left.pop()
        for link in LINK.findall(page.read_text(encoding="utf-8")):
            target = (page.parent / link.partition("#")[0]).resolve()
            if target.suffix == ".md" and target.exists() and target not in reached:
                reached.add(target)
                left.append(target)
    assert [str(page.relative_to(ROOT)) for page in PAGES if page not in reached] == []


def test_every_setting_stands_in_the_manual_as_the_program_reads_it() -> None:
    rows = [f"| `{row.name}` | {row.default} | {row.meaning} |" for row in Settings.TABLE]
    kinds = [*BROKERS.values(), *SOURCES.values()]
    addresses = [address for kind in kinds for address in kind.addresses]
    rows += [f"| `{each.setting}` | {each.default} | {each.meaning} |" for each in addresses]
    missing = [row for row in rows if row not in manual("operations.md")]
    assert not missing, "put into docs/operations.md, under Settings:\n" + "\n".join(missing)


def test_the_manual_names_every_broker() -> None:
    missing = [name for name in BROKERS if f"| `{name}`" not in manual("brokers.md")]
    assert not missing, f"docs/brokers.md lacks {missing}: put in what `dashtrade brokers --markdown` prints"


def test_what_each_broker_can_do_stands_in_the_manual_as_the_program_goes_by_it() -> None:
    made = re.search(r"<!-- brokers -->\n(.*)<!-- /brokers -->", manual("brokers.md"), re.DOTALL)
    assert made is not None and made.group(1) == guide.as_markdown(), (
        "put what `dashtrade brokers --markdown` prints between the marks in docs/brokers.md"
    )


def test_what_each_source_has_stands_in_the_manual_as_the_program_goes_by_it() -> None:
    made = re.search(r"<!-- sources -->\n(.*)<!-- /sources -->", manual("market-data.md"), re.DOTALL)
    assert made is not None and made.group(1) == source_guide.as_markdown(), (
        "put what `dashtrade source list` prints between the marks in docs/market-data.md"
    )


def test_the_manual_names_every_protection() -> None:
    missing = [kind for kind in KINDS if f"| `{kind}` |" not in manual("risk.md")]
    assert not missing, f"docs/risk.md, under Protections, lacks a row of {missing}"


def test_every_page_of_the_dashboard_is_in_its_menu_and_in_the_manual() -> None:
    home = (ROOT / "Home.py").read_text(encoding="utf-8")
    titles = dict(re.findall(r'st\.Page\("pages/(\w+)\.py", title="([^"]+)"', home))
    pages = sorted(path.stem for path in (ROOT / "pages").glob("*.py"))
    assert sorted(titles) == pages, "each page of pages/ has a row in the menu of Home.py, and no other has"
    missing = [title for title in titles.values() if f"| {title} |" not in manual("dashboard.md")]
    assert not missing, f"docs/dashboard.md lacks a row of {missing}"


def test_every_command_of_the_program_stands_in_the_manual() -> None:
    text = manual("operations.md")
    missing = [command for command in commands(parser()) if f"`{command}" not in text]
    assert not missing, f"docs/operations.md, under Commands, lacks {missing}"
    told = set(re.findall(r"`(dashtrade [a-z -]+[a-z])", text))
    assert told <= set(commands(parser()))


def test_every_endpoint_stands_in_the_manual_and_no_other() -> None:
    rows = re.findall(r"^\| (`/.*?) \| ([A-Z ]+) \|", manual("rest.md"), re.MULTILINE)
    told = {
        (method, path)
        for paths, methods in rows
        for path in re.findall(r"`(.+?)`", paths)
        for method in methods.split()
    }
    there = {(method, re.sub(r"<[^>]*>", "ID", path).removeprefix("/api/v1")) for method, path in ENDPOINTS}
    assert told == there


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_call_that_a_page_names_is_there(page: Path) -> None:
    flask = Flask("routes")
    for part in (*webhook_server.API, webhook_server):
        flask.register_blueprint(part.bp)
    there = {
        (m, re.sub(r"<[^>]*>", "ID", rule.rule))
        for rule in flask.url_map.iter_rules()
        for m in rule.methods or ()
    }
    named = re.findall(r"\b(GET|POST|PUT|PATCH|DELETE) (/[\w/.-]+)", page.read_text(encoding="utf-8"))
    calls = [(method, re.sub(r"/[A-Z_]+(?=/|$)", "/ID", path)) for method, path in named]
    assert [call for call in calls if call not in there] == []


def fields_told() -> list[str]:
    table = manual("alerts.md").partition("| field | other names |")[2].partition("\n\n")[0]
    cells = [row.split("|")[1:3] for row in table.splitlines()[1:] if row.startswith("| `")]
    return [name for row in cells for cell in row for name in re.findall(r"`(\w+)`", cell)]


@pytest.mark.parametrize("name", fields_told())
def test_an_alerts_field_that_the_manual_names_is_read(name: str) -> None:
    alert = {"action": "buy", "symbol": "AAPL"}
    assert parse(json.dumps(alert | {"none_at_all": {"none": 1}}).encode())
    with pytest.raises(Malformed):
        parse(json.dumps(alert | {name: {"none": 1}}).encode())


def test_every_setting_of_a_bot_stands_in_the_manual_and_no_other() -> None:
    table = manual("bots.md").partition("| field | default | meaning |")[2].partition("\n\n")[0]
    cells = [row.split("|")[1] for row in table.splitlines() if row.startswith("|")]
    told = [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]
    assert sorted(told) == sorted(setting.name for setting in SETTINGS)
