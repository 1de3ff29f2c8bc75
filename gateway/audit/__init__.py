"""For those who trust nobody: the books opened from the first record to the last.

books.py  feeds the rows of the store to `ledger.verify`, which recomputes everything
"""
