"""What operators see: words (events), lines (logs), figures (metrics). May be lost; never legal.

No legal fact is taken from a log or a figure; the ledger alone keeps those. Content of documents,
names of files and of persons never enter: ids, codes, counts, durations.
"""
