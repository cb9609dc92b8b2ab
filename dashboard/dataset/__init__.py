"""Data of the Dataset page: the shipped statistics, and the photos of a folder if one is set."""
