"""The app and the HTTP API in one process: `streamlit run dashboard/server.py`."""

from __future__ import annotations

import sys
from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware
from streamlit import config

import segmodels  # noqa: F401  # sets how threads wait, before a page loads PyTorch
from dashboard.api.routes import base_path, routes
from dashboard.lifespan import lifespan
from dashboard.security_headers import SecurityHeaders, proxies
from dashboard.shared import sign_in

__all__ = ["app"]

if text := sign_in.problem():
    sys.exit(text)
if base_path():
    config.set_option("server.baseUrlPath", base_path().strip("/"))

app = st.App(
    Path(__file__).parent / "app.py",
    routes=routes(),
    lifespan=lifespan,
    middleware=[
        proxies(),
        Middleware(SecurityHeaders),
    ],
)
