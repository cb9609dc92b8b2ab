"""Logic of the Evaluation page: the scores and costs of checkpoints, and the photos behind them."""
