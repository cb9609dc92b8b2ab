"""What the Evaluation page shows: the scores of checkpoints, what they cost, and the photos that stand behind both."""
