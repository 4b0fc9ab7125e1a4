"""The pages outside Streamlit: sign-in, the first account, joining by invitation. Plain HTML that works
without scripts; its one script applies the theme chosen in the dashboard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from pathlib import Path

from dashtrade.domain.values import as_sentence

MARK = (
    '<svg viewBox="0 0 64 64" width="40" height="40" aria-hidden="true"><rect width="64" height="64" '
    'rx="15" fill="#2F6FED"/>'
    '<g fill="#fff"><rect x="15.5" y="24" width="9" height="20" rx="2.5"/><rect x="19" y="17" width="2" '
    'height="34" rx="1"/>'
    '<rect x="39.5" y="20" width="9" height="20" rx="2.5"/><rect x="43" y="13" width="2" height="34" '
    'rx="1"/></g>'
    '<g fill="#7FF0C0"><rect x="27.5" y="17" width="9" height="24" rx="2.5"/><rect x="31" y="10" width="2" '
    'height="40" rx="1"/></g></svg>'
)


@lru_cache(maxsize=1)
def _style() -> str:
    return (Path(__file__).parents[1] / "assets" / "forms.css").read_text(encoding="utf-8")


DEMO_ASIDE = (
    '<form class="aside" method="post" action="/demo"><button type="submit">Try the demo</button>'
    "<p>No form, no email: $100,000 of paper money and three bots with a week behind them.</p></form>"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    name: str
    label: str
    kind: str = "text"
    autocomplete: str = "off"
    hint: str = ""
    value: str = ""
    required: bool = True
    wrong: bool = False
    focus: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrong:
    """The error above the form: what happened, and what to do."""

    message: str
    hint: str = ""
    field: str = ""


def page(title: str, body: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" '
        'content="width=device-width,initial-scale=1">'
        f'<title>{escape(title)} · DashTrade</title><link rel="icon" '
        f'href="/favicon.png"><style>{_style()}</style><script src="/auth/theme.js"></script></head>'
        f'<body><main><p class="brand">{MARK}<span>DashTrade</span></p><section '
        f'class="card">{body}</section></main></body></html>'
    )


def form(
    *,
    title: str,
    lead: str,
    action: str,
    fields: Sequence[Field],
    button: str,
    wrong: Wrong | None = None,
    hidden: dict[str, str] | None = None,
    remember: bool | None = None,
    note: str = "",
    aside: str = "",
) -> str:
    """`note` and `aside` are trusted HTML; everything else is escaped here."""
    error_text = ""
    if wrong is not None:
        error_text = (
            '<p class="error" role="alert" '
            f'id="error"><b>{escape(as_sentence(wrong.message))}</b>{escape(wrong.hint)}</p>'
        )
    hidden_fields = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
        for name, value in (hidden or {}).items()
    )
    tick = ""
    if remember is not None:
        on = " checked" if remember else ""
        tick = (
            f'<label class="check"><input type="checkbox" name="remember" value="yes"{on}>Remember me for '
            "30 days on this device</label>"
        )
    shown = f'<p class="note">{note}</p>' if note else ""
    return page(
        title,
        (
            f'<h1>{escape(title)}</h1><p class="lead">{escape(lead)}</p>{error_text}<form method="post" '
            f'action="{escape(action)}">{hidden_fields}'
            f"{''.join(_field(field) for field in fields)}{tick}<button "
            f'type="submit">{escape(button)}</button></form>{aside}{shown}'
        ),
    )


def _field(field: Field) -> str:
    hint = f' <span class="hint">{escape(field.hint)}</span>' if field.hint else ""
    flags = (" required" if field.required else "") + (" autofocus" if field.focus else "")
    flags += ' aria-invalid="true" aria-describedby="error"' if field.wrong else ""
    kind = field.kind
    if kind == "code":
        kind, flags = (
            "text",
            flags + ' class="code" inputmode="text" maxlength="40" spellcheck="false" autocapitalize="off"',
        )
    return (
        f'<label for="{field.name}">{escape(field.label)}{hint}</label><input id="{field.name}" '
        f'name="{field.name}" type="{kind}" '
        f'autocomplete="{field.autocomplete}" value="{escape(field.value)}"{flags}>'
    )


def notice(title: str, lead: str, body: str) -> str:
    """A page without a form; `body` is trusted HTML."""
    return page(title, f'<h1>{escape(title)}</h1><p class="lead">{escape(lead)}</p>{body}')
