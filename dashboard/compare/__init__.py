"""Logic of the Compare page: where models disagree, and their scores against a ground truth."""
