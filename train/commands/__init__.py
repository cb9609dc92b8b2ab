"""One function a command; the files are named after what their commands do."""

__all__: list[str] = []
