"""What the Segment page keeps for a visitor."""
