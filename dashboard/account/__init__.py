"""Who uses the app: signing in, and the tokens of the API."""
