"""The tour: one document from one agency's system to another's.

A unit's document-management system hands a document in at a door (`api`): metadata first, which
are judged before a file byte is read, then the files, hashed on their way into a private spool.
The door calls `desk`, which knows who may ask what, and `desk` opens the corridor out:

    outbound.accept      rules: everything wrong with it, at once. routing: which axis reaches whom.
                         packing writes one package for each axis, signing says who packed it,
                         ledger makes the record; package, record, queue rows and the signed
                         receipt are one commit. Then the door answers 202, and can prove it.
    sealing.seal         workers/seal: records become entries of a Merkle tree under a checkpoint.
    sealing.stamp        workers/stamp: an outside authority vouches for the time.
    outbound.claim       workers/deliver: the attempt is recorded, then bytes leave:
    outbound.deliver     an axis answers with an Outcome (delivered, deferred, refused, uncertain),
                         dispatch says what follows from it.
    settling             what a status from the receiver, or the axis, says about a transfer.

On the other side the corridor in:

    collecting           workers/collect: what an axis lists becomes durable raw bytes; only then
                         the axis is told that we have them.
    inbound.receive      the bytes are recorded before anybody opens them.
    inbound.open         workers/open: packing.read, signing.verify, rules; one inbox item for each
                         agency of ours that the package names, or quarantine, never the bin.
    trusting             workers/sweep: what authorities revoked; opening only reads what is held.
    (the unit's system)  looks into its inbox, leases, fetches; the first whole serving is a fact.
    inbound.confirm      the document entered the receiver's System: the legal moment. Status 01
                         goes back the same road, and 03, 06 after it (`answering`).

A recall, an update and a replacement are documents of their own and walk the same road: `acts`
fills in what they say of the earlier document, `acting` gives its files again. A take-back is a
status 13. Whoever has the document agrees with 15 or refuses with 16: `answering` there,
`settling` here.

Who is who. A *corridor* owns the order and the transactions, and does no craft. A *room* (packing,
ciphering, signing, rules, ledger, routing, dispatch) knows one craft, is synchronous and pure, and
has never heard of its neighbours. A *door* (api, cli, workers) lets people and time in. An
*adapter* (the package `adapters`) speaks to one kind of stranger behind a port (`ports`). The
`store` remembers. `wiring` is the only place where ports meet adapters.

Read next: `outbound.py` from top to bottom, then `inbound.py`; `model/` for the words and the
states; `errors.py` for what can go wrong and who must act; docs/architecture.md for the reasons.
To see it move: `make demo`.
"""

__version__ = "0.1.0"
