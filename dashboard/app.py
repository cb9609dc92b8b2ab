"""The router: the list of pages."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

import segmodels  # noqa: F401  # sets how threads wait, before a page loads PyTorch
from dashboard.account.sign_in import show_sign_in
from dashboard.account.tokens import may_make_tokens
from dashboard.components.history import watch_history
from dashboard.shared.upload_memory import share_bytes

HERE = Path(__file__).parent

share_bytes()
st.set_page_config(page_title="Garmentscope", layout="wide")
st.html(HERE / "style.css")
st.html(HERE / "content.css")
watch_history()
st.logo(str(HERE / "wordmark.svg"), size="large")
if not show_sign_in():
    st.stop()
pages = [
    st.Page(HERE / "app_pages" / "segment.py", title="Segment", default=True),
    st.Page(HERE / "app_pages" / "compare.py", title="Compare"),
    st.Page(HERE / "app_pages" / "evaluation.py", title="Evaluation"),
    st.Page(HERE / "app_pages" / "dataset.py", title="Dataset"),
    st.Page(HERE / "app_pages" / "archive.py", title="Archive"),
    st.Page(HERE / "app_pages" / "trends.py", title="Trends"),
    st.Page(HERE / "app_pages" / "models.py", title="Models"),
]
if may_make_tokens():
    pages.append(st.Page(HERE / "app_pages" / "account.py", title="Account"))
st.navigation(pages, position="top").run()
