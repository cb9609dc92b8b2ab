"""Logic of the Archive page: the list of archives, and the ingests that run in the background."""
