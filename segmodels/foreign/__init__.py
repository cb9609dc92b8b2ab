"""Networks from elsewhere: folders of the transformers library, and ONNX files."""

from __future__ import annotations

__all__: list[str] = []
