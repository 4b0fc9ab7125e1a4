"""The pages outside Streamlit: signing in, the first account, joining by invitation. Plain HTML that works without
a script; the one it has gives them the colours that were chosen in the dashboard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

MARK = (
    '<svg viewBox="0 0 64 64" width="40" height="40" aria-hidden="true"><rect width="64" height="64" rx="15" fill="#2F6FED"/>'
    '<g fill="#fff"><rect x="15.5" y="24" width="9" height="20" rx="2.5"/><rect x="19" y="17" width="2" height="34" rx="1"/>'
    '<rect x="39.5" y="20" width="9" height="20" rx="2.5"/><rect x="43" y="13" width="2" height="34" rx="1"/></g>'
    '<g fill="#7FF0C0"><rect x="27.5" y="17" width="9" height="24" rx="2.5"/><rect x="31" y="10" width="2" height="40" rx="1"/></g></svg>'
)

STYLE = """
:root{color-scheme:light dark;--bg:light-dark(#F6F8FA,#0B0E11);--card:light-dark(#FFFFFF,#12161C);--line:light-dark(#DCE1E8,#252C37);
--edge:light-dark(#C3CAD4,#2E3744);--text:light-dark(#12171E,#E6E8EB);--soft:light-dark(#536072,#9AA5B5);--field:light-dark(#FFFFFF,#0B0E11);
--link:light-dark(#1F57C9,#6B9BFF);--bad:light-dark(#B3192F,#FF8A99);--badbg:light-dark(#FDECEF,#34161D);--glow:light-dark(#D6E4FF88,#14305F55);
--good:light-dark(#066B47,#2BD796)}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:24px 16px;color:var(--text);
background:radial-gradient(60rem 32rem at 50% -8rem,var(--glow),transparent),var(--bg);
font:15px/1.5 Inter,system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
main{width:min(25rem,100%)}
.brand{display:flex;align-items:center;gap:12px;margin:0 0 22px;font-size:19px;font-weight:650;letter-spacing:-.01em}
.card{background:var(--card);border:1px solid var(--line);border-radius:14px;padding:28px;box-shadow:0 20px 60px #0004}
h1{font-size:22px;line-height:1.25;letter-spacing:-.015em;margin:0 0 4px;font-weight:650}
.lead{margin:0 0 20px;color:var(--soft)}
label{display:block;margin:14px 0 6px;font-size:13.5px;font-weight:550}
label .hint{color:var(--soft);font-weight:400}
input[type=email],input[type=password],input[type=text]{width:100%;padding:11px 12px;border-radius:8px;border:1px solid var(--edge);
background:var(--field);color:inherit;font:inherit}
input.code{font:18px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;letter-spacing:.12em}
input[aria-invalid=true]{border-color:var(--bad)}
.check{display:flex;gap:9px;align-items:center;margin:16px 0 0;font-weight:400;color:var(--soft);cursor:pointer}
.check input{width:17px;height:17px;margin:0;accent-color:#2F6FED}
button{margin-top:20px;width:100%;padding:12px;border:0;border-radius:8px;background:#2F6FED;color:#fff;font:600 15px/1.4 inherit;font:inherit;font-weight:600;cursor:pointer}
button:hover{background:#2A63D6}
:focus-visible{outline:2px solid var(--link);outline-offset:2px}
.error{margin:0 0 18px;padding:11px 13px;border-radius:8px;background:var(--badbg);color:var(--bad)}
.error b{display:block;font-weight:600}
.aside{margin:22px 0 0;padding-top:20px;border-top:1px solid var(--line)}
.aside button{margin:0;background:transparent;color:var(--text);border:1px solid var(--edge)}.aside button:hover{border-color:var(--link);background:transparent}
.aside p{margin:10px 0 0;color:var(--soft);font-size:13.5px;text-align:center}
.note{margin:20px 0 0;color:var(--soft);font-size:13.5px;text-align:center}
a{color:var(--link);text-decoration:none}a:hover{text-decoration:underline}
code{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;background:var(--field);border:1px solid var(--line);border-radius:6px;padding:2px 6px;overflow-wrap:anywhere}
.steps{margin:0;padding-left:20px}.steps li{margin:6px 0}
"""


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
    """What to say above the form: what happened, and what to do now."""

    message: str
    hint: str = ""
    field: str = ""


def page(title: str, body: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<title>{escape(title)} · DashTrade</title><link rel="icon" href="/favicon.png"><style>{STYLE}</style><script src="/auth/theme.js"></script></head>'
        f'<body><main><p class="brand">{MARK}<span>DashTrade</span></p><section class="card">{body}</section></main></body></html>'
    )


def form(*, title: str, lead: str, action: str, fields: Sequence[Field], button: str, wrong: Wrong | None = None,
         hidden: dict[str, str] | None = None, remember: bool | None = None, note: str = "", aside: str = "") -> str:
    """`note` and `aside` are our own HTML; everything else is escaped here."""
    said = ""
    if wrong is not None:
        said = f'<p class="error" role="alert" id="error"><b>{escape(sentence(wrong.message))}</b>{escape(wrong.hint)}</p>'
    kept = "".join(f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in (hidden or {}).items())
    tick = ""
    if remember is not None:
        on = " checked" if remember else ""
        tick = f'<label class="check"><input type="checkbox" name="remember" value="yes"{on}>Remember me for 30 days on this device</label>'
    shown = f'<p class="note">{note}</p>' if note else ""
    return page(title, (
        f'<h1>{escape(title)}</h1><p class="lead">{escape(lead)}</p>{said}<form method="post" action="{escape(action)}">{kept}'
        f'{"".join(_field(field) for field in fields)}{tick}<button type="submit">{escape(button)}</button></form>{aside}{shown}'
    ))


def _field(field: Field) -> str:
    hint = f' <span class="hint">{escape(field.hint)}</span>' if field.hint else ""
    flags = (" required" if field.required else "") + (" autofocus" if field.focus else "")
    flags += ' aria-invalid="true" aria-describedby="error"' if field.wrong else ""
    kind = field.kind
    if kind == "code":
        kind, flags = "text", flags + ' class="code" inputmode="text" maxlength="40" spellcheck="false" autocapitalize="off"'
    return (
        f'<label for="{field.name}">{escape(field.label)}{hint}</label><input id="{field.name}" name="{field.name}" type="{kind}" '
        f'autocomplete="{field.autocomplete}" value="{escape(field.value)}"{flags}>'
    )


def notice(title: str, lead: str, body: str) -> str:
    """A page without a form; `body` is our own HTML."""
    return page(title, f'<h1>{escape(title)}</h1><p class="lead">{escape(lead)}</p>{body}')


def sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}".rstrip(".") + "."
