"""Losses, recipes, fitting and evaluation. Knows `segmodels`, never `dashboard`."""
