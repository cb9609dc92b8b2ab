"""The app and the HTTP API in one process: `streamlit run dashboard/server.py`."""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware

import segmodels  # noqa: F401  # sets how threads wait, before a page loads PyTorch
from dashboard.api.routes import routes
from dashboard.security_headers import SecurityHeaders

__all__ = ["app"]

app = st.App(Path(__file__).parent / "app.py", routes=routes(), middleware=[Middleware(SecurityHeaders)])
