"""Account: who is signed in, and the tokens of the API."""

from __future__ import annotations

import html
from collections.abc import Sequence
from datetime import datetime

import streamlit as st

from dashboard.account.state import AccountState
from dashboard.account.tokens import may_make_tokens, visible_tokens
from dashboard.api.tokens import MAX_DAYS, SCOPES, Token, TokenError, Tokens, tokens_of_server
from dashboard.shared import audit
from dashboard.shared.guide import show_guide
from dashboard.shared.page_state import page_state
from dashboard.shared.text import literal
from dashboard.shared.visitor import principal

state = page_state(AccountState)

GUIDE = (
    "A token lets a program use the HTTP API in your name: it sees the archives that you see.",
    "The token is shown once. Keep it as you keep a password, and revoke it when it is no longer needed.",
)
MEANINGS = {"read": "read archives and jobs", "segment": "segment photos", "write": "add and remove photos"}


def page() -> None:
    """The whole page."""
    who = principal()
    with st.container(horizontal=True, vertical_alignment="center"):
        st.title("Account", width="stretch")
        show_guide(GUIDE)
        if who.person:
            st.button("Sign out", on_click=st.logout)
    if who.person:
        keeps = " You are an administrator." if who.is_keeper else ""
        st.html(f"<p>Signed in as {html.escape(who.person)}.{keeps}</p>")  # Markdown would make a link of it
    tokens = tokens_of_server()
    if tokens is None or not may_make_tokens():
        st.error("Tokens are made by people who are signed in, or at the server's own machine.")
        return
    try:
        found = visible_tokens(tokens.all())
    except TokenError as error:
        st.error(literal(str(error)))
        return
    _new()
    with st.container(key="account-columns"):
        left, right = st.columns([60, 40], gap="large")
    with right:
        _form(tokens)
    with left:
        _list(tokens, found)


def _new() -> None:
    """The token that was just made, shown once."""
    if state.made:
        st.success("Copy your token now. It is not shown again.")
        st.code(state.made, language=None, wrap_lines=True)
        st.button("Done", on_click=_forget)


def _form(tokens: Tokens) -> None:
    st.subheader("Make a token")
    with st.form("account-token", border=False):
        name = st.text_input("Name", max_chars=60, placeholder="shop back end", key="account-name")
        scopes = st.multiselect("It may", SCOPES, ["segment"], format_func=MEANINGS.__getitem__, key="account-scopes")
        days = st.number_input("Days until it expires", 1, MAX_DAYS, 90, key="account-days")
        if st.form_submit_button("Make token", type="primary"):
            who = principal()
            state.failure = ""
            try:
                state.made = tokens.make(name.strip(), scopes, int(days), person=who.person)
            except TokenError as error:
                state.failure = str(error)
            else:
                audit.note("token made", who, token=name.strip(), scopes=" ".join(scopes), days=int(days))
                st.rerun()
    if state.failure:
        st.error(literal(state.failure))


def _list(tokens: Tokens, found: Sequence[Token]) -> None:
    count = len(found)
    st.subheader(f"{count:,} token{'' if count == 1 else 's'}" if count else "No token yet")
    for each in found:
        with st.container(key=f"account-token-{each.id}", horizontal=True, vertical_alignment="center"):
            ends = datetime.fromisoformat(each.expires)
            when = f"expired on {ends:%Y-%m-%d}" if each.is_expired() else f"until {ends:%Y-%m-%d}"
            may = ", ".join(MEANINGS[scope] for scope in each.scopes)
            of = f", of {each.person}" if each.person and each.person != principal().person else ""
            st.markdown(f"**{literal(each.name)}**  \n{literal(f'May {may}; {when}{of}.')}", width="stretch")
            st.button("Revoke", key=f"account-revoke-{each.id}", on_click=_revoke, args=(tokens, each))


def _revoke(tokens: Tokens, token: Token) -> None:
    if not visible_tokens([token]):
        return
    state.failure = ""
    try:
        tokens.revoke(token.name, token.id)
    except TokenError as error:
        state.failure = str(error)
        return
    audit.note("token revoked", principal(), token=token.name)


def _forget() -> None:
    state.made = ""


page()
