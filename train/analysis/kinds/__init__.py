"""Fits and judges what tells kinds of garments apart: skirts from dresses, boots from heels.

`samples` finds garments whose kind is known, `fitting` learns from them, `judging` scores what was learned, and `runs`
does all of it for Clothing Co-Parsing or a data set of one's own.
"""
