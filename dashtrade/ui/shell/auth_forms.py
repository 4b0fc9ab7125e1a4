"""The sign-in and registration forms, with their errors."""

from __future__ import annotations

from dashtrade.context import App
from dashtrade.services.people import admin, invitations
from dashtrade.ui.shell.auth_pages import DEMO_ASIDE, Field, Wrong, form, notice


def login_form(
    app: App, email: str, remember: bool, wrong: Wrong | None = None, done: str = "", to: str = "/"
) -> str:
    join = 'New here? <a href="/join">Create an account</a>' if invitations.signup(app) == "open" else ""
    return form(
        aside=DEMO_ASIDE if admin.demo_offered(app) else "",
        title="Sign in",
        lead=done or "Your bots keep working while you are away.",
        action="/auth/login",
        button="Sign in",
        wrong=wrong,
        fields=[
            Field(
                name="email",
                label="Email",
                kind="email",
                autocomplete="username",
                value=email,
                focus=not email,
                wrong=wrong is not None,
            ),
            Field(
                name="password",
                label="Password",
                kind="password",
                autocomplete="current-password",
                focus=bool(email),
                wrong=wrong is not None,
            ),
        ],
        remember=remember,
        note=join,
        hidden={"next": to} if to != "/" else {},
    )


def join_form(action: str, hidden: dict[str, str], given: dict[str, str], wrong: Wrong | None = None) -> str:
    at = wrong.field if wrong else ""
    first = action == "/setup"
    lead = (
        "This is the first account: you become the superadmin of this installation."
        if first
        else "One account, your own bots and broker accounts."
    )
    return form(
        title="Welcome to DashTrade" if first else "Join DashTrade",
        lead=lead,
        action=action,
        hidden=hidden,
        wrong=wrong,
        button="Create account",
        fields=[
            Field(
                name="name",
                label="Your name",
                autocomplete="name",
                value=given.get("name", ""),
                focus=not at,
                wrong=at == "name",
            ),
            Field(
                name="email",
                label="Email",
                kind="email",
                autocomplete="username",
                value=given.get("email", ""),
                focus=at == "email",
                wrong=at == "email",
            ),
            Field(
                name="password",
                label="Password",
                kind="password",
                autocomplete="new-password",
                hint="8 characters or more",
                focus=at == "password",
                wrong=at == "password",
            ),
        ],
        note="" if first else 'Have an account? <a href="/auth/login">Sign in</a>',
    )


def code_form(ticket: str, to: str, wrong: Wrong | None = None) -> str:
    return form(
        title="Two-factor authentication",
        lead="Enter the 6-digit code from your authenticator app.",
        action="/auth/code",
        button="Sign in",
        wrong=wrong,
        hidden={"ticket": ticket, "next": to},
        fields=[
            Field(
                name="code",
                label="Code",
                kind="code",
                autocomplete="one-time-code",
                hint="or enter a recovery code",
                focus=True,
                wrong=wrong is not None,
            )
        ],
        note='<a href="/auth/login">Start again</a>',
    )


def reset_form(code: str, email: str, wrong: Wrong | None) -> str:
    return form(
        title="Set a new password",
        lead=f"For {email}. All devices are signed out afterwards.",
        action="/reset",
        button="Set password",
        wrong=wrong,
        hidden={"code": code},
        fields=[
            Field(
                name="password",
                label="New password",
                kind="password",
                autocomplete="new-password",
                hint="8 characters or more",
                focus=True,
                wrong=wrong is not None,
            )
        ],
    )


def first_time() -> str:
    return notice(
        "No account yet",
        "Create the first account with the set-up link.",
        '<ol class="steps"><li>DashTrade printed the link when it started, in its terminal.</li>'
        "<li>Lost it? <code>.venv/bin/dashtrade setup-link</code> prints a new one.</li></ol>",
    )
