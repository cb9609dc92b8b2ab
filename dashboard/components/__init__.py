"""Custom components, each with its JavaScript beside it: the viewer, charts, the leaderboard, the upload limit."""
