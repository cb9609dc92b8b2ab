"""What a visitor sees before signing in."""

from __future__ import annotations

from functools import partial

import streamlit as st

from dashboard.shared import sign_in
from dashboard.shared.text import literal

__all__ = ["show_sign_in"]


def show_sign_in() -> bool:
    """Asks the visitor to sign in, where that is needed; gives whether the app may go on."""
    if not sign_in.is_needed() or sign_in.person():
        return True
    with st.container(key="sign-in"):
        st.title("Sign in")
        if st.user.get("is_logged_in"):
            name = sign_in.name_of(st.user.to_dict()) or "This account"
            st.error(literal(f"{name} may not use this server. Ask the administrator, or use another account."))
            st.button("Sign out", on_click=st.logout)
            return False
        st.markdown(
            "Garmentscope finds every garment in outfit photos and counts them over whole archives. This server is for "
            "people who have an account. Your photos and archives are private."
        )
        for name in sign_in.providers():
            label = f"Sign in with {name.capitalize()}" if name else "Sign in"
            st.button(label, type="primary", on_click=partial(st.login, name or None), key=f"sign-in-{name}")
    return False
