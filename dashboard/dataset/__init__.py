"""What the app knows of data sets: the numbers that ship, and the photos of a folder where there is one."""
