"""Shared by several pages: a visitor's photos, uploads, examples, the queue for the networks, links and tables."""
