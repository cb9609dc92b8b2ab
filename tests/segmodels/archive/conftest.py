"""The fixtures of the archive, which its page needs too."""

from archive_fixtures import *  # noqa: F403
