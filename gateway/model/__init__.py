"""The nouns. Frozen values, valid from birth; no I/O, no clock.

Submission   what a unit's document-management system hands in, before and after the rules
Package      the edXML package (QCVN 102:2016/BTTTT): document or status
Transfer     one package on one axis, and its recipients
Arrival      one package that came from an axis, and the inbox items made of it
Outcome      what an axis said to one attempt
Record       one legal fact; Entry, Checkpoint, Stamp: its place in the ledger
Agency       who may send and receive, under both written forms of a code
"""
