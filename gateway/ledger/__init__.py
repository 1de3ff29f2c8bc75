"""The ledger: what was promised can be proved, even against ourselves.

In: facts as `Record`s, hashes, a P-256 key and the clock's word, all as values. Out: canonical
bytes, tree nodes, signed notes, receipts, verdicts. It never opens a database, a socket or a file,
never asks for the time and never invents randomness: the store gives and takes values.

Read in this order (the format, with test vectors: docs/ledger-format.md):

records      Record <-> its bytes (RFC 8785), the leaf hash, salted digests of personal fields
exact        the same reader for a whole ledger: fast, and silent where it is not sure
merkle       the tree of RFC 9162: append, root, proofs, and the checks of proofs
note         C2SP signed notes with an ECDSA P-256 key; keys.py writes that key for other people
checkpoint   the signed head of one epoch of the tree
receipt      what a unit system gets with its 202: the promise, before the tree knows of it
stamp        RFC 3161: the request, the reply, the token over a checkpoint, checked offline
chain        the certificate path of a stamp
verify       the whole ledger, streamed in flat memory: the first bad entry has a name
"""
