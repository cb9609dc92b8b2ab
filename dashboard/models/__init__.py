"""What the Models page computes: what each checkpoint's card says, what the Hub has, and pulls from there."""
