"""Thousands of photos as rows: Parquet parts in a folder, how they get there and how they are read."""
