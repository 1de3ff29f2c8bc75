"""For those who trust nobody: the books opened from the first record to the last.

books.py     feeds the rows of the store to `ledger.verify`, which recomputes everything
shown.py     then holds every other row against the records: their columns, accounts, and
sent.py      documents, transfers, recipients, attempts, statuses;
received.py  arrivals and inbox items
against.py   one thing that is shown beside what was said of it
"""
