"""What the Archive page shows: which archives there are, and the ingests that run beside the pages."""
