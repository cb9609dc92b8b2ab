"""What the Trends page shows: archives, filters, the views of each tab, the photos behind a number, the report."""
