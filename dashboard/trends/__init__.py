"""Logic of the Trends page: archives, filters, the views of each tab, the photos behind a number, the report."""
