"""What the Compare page computes: where models disagree, and what a ground truth says of each."""
