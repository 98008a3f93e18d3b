"""Random requests over every address of the product, as several kinds of user: whatever comes in, no answer is a 500.

A share of them runs with the suite; `python -m tests.fuzz --requests 5000` makes more, `--seed` the same ones again.
"""
