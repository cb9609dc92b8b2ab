"""Logic of the Models page: the card of each checkpoint, the checkpoints on the Hub, and pulls from there."""
