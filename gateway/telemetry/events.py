"""The vocabulary of events: every word that a record or a log line may begin with.

In:     nothing.
Out:    Event members: the word, whether it is a ledger record, what an operator does on seeing it.
Fails:  never.
Never:  changes a word: records are kept for decades, and scripts of others grep for them.

Words are noun.participle. Those with `is_record` are legal facts and go to the ledger (architecture
3); the same word may head the log line of the same step. The others are log lines only.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class Event(StrEnum):
    """`Event.X.value` is the word; `advice` is for the person at three in the morning."""

    is_record: bool
    advice: str

    def __new__(cls, word: str, is_record: bool, advice: str) -> Self:
        member = str.__new__(cls, word)
        member._value_ = word
        member.is_record = is_record
        member.advice = advice
        return member

    # --- outbound
    SUBMISSION_ACCEPTED = (
        "submission.accepted",
        True,
        "Nothing to do. The unit system holds the receipt; the document is promised.",
    )
    SUBMISSION_REFUSED = (
        "submission.refused",
        True,
        (
            "The unit must change its document; the findings say what. For `secrecy.marked` tell "
            "the unit's security officer: nothing of the content was kept."
        ),
    )
    STATUS_ACCEPTED = (
        "status.accepted",
        True,
        "Nothing to do. A status of a local unit is promised and travels like a document.",
    )
    LEDGER_SEALED = (
        "ledger.sealed",
        False,
        (
            "Nothing to do. When it stops while documents are accepted, look at the worker "
            "`seal`: after `seal.max_delay` accepting answers 503."
        ),
    )
    LEDGER_STAMPED = (
        "ledger.stamped",
        False,
        (
            "Nothing to do. When it stops, ask whether the timestamp authority answers; sealing "
            "and sending go on, and a later stamp covers what was missed."
        ),
    )
    STAMP_ORDERED = (
        "stamp.ordered",
        True,
        "Nothing to do. A person asked for a stamp over one record; an authority may bill it.",
    )
    STAMP_LATE = (
        "stamp.late",
        False,
        (
            "No authority has stamped for `stamp.alarm_share` of `stamp.max_delay`: ask them, look "
            "at the line to them. Documents flow; /readyz says when the brake comes."
        ),
    )
    STAMP_BRAKED = (
        "stamp.braked",
        False,
        (
            "`stamp.max_delay` is over: new documents are held or refused (`stamp.brake`) until a "
            "stamp comes. Bring an authority back, or name another in `stamp.authorities`."
        ),
    )
    STAMP_CAUGHT_UP = (
        "stamp.caught_up",
        False,
        "Nothing to do. A stamp covers what was missed; what was held goes on by itself.",
    )
    AUTHORITY_JUDGED = (
        "authority.judged",
        True,
        (
            "Nothing for `trusted`. `revoked` or `expired`: ask the timestamp authority for its "
            "new certificate, or put another one first in `stamp.authorities`."
        ),
    )
    SIGNER_JUDGED = (
        "signer.judged",
        True,
        (
            "Nothing for `trusted`. `revoked` or `expired`: this agency's signature convinces "
            "nobody any more; ask for its new certificate and name it in the agency's `[[key]]`."
        ),
    )
    LEDGER_REHASHED = (
        "ledger.rehashed",
        True,
        "Nothing to do. The tree was made again under a newer hash function; keep its root.",
    )
    LEDGER_EPOCH_BEGUN = (
        "ledger.epoch_begun",
        True,
        "A restore took place. Settle every transfer held with cause `restored`.",
    )
    LEDGER_KEY_CHANGED = (
        "ledger.key_changed",
        True,
        "Give `ledger.vkey` to units, auditors and witnesses anew; the old key vouches for it.",
    )
    ATTEMPT_STARTED = (
        "attempt.started",
        True,
        "Nothing to do. Bytes may leave from here on.",
    )
    ATTEMPT_ENDED = (
        "attempt.ended",
        True,
        (
            "Nothing while outcomes are `delivered`. `deferred` for long: ask the axis' operator."
            " `uncertain`: the same bytes go again after the wait. `refused`: tell the unit."
        ),
    )
    ATTEMPT_TAKEN_OVER = (
        "attempt.taken_over",
        True,
        (
            "A process died or lost its lease while sending. Find out why it died; the transfer "
            "is UNCERTAIN and goes again by itself after the attempt's deadline and a grace."
        ),
    )
    TRANSFER_HELD = (
        "transfer.held",
        True,
        "A person must decide. `queue show` tells the cause (`hold_cause`) and every attempt.",
    )
    TRANSFER_RELEASED = (
        "transfer.released",
        True,
        "Nothing to do. A person, or a stamp after the brake, let it go on; its lifetime restarts.",
    )
    TRANSFER_RETRIED = (
        "transfer.retried",
        True,
        "Nothing to do. A person made its next attempt due at once.",
    )
    TRANSFER_REPLAYED = (
        "transfer.replayed",
        True,
        "Nothing to do. A new transfer carries the same bytes; `replay_of` names the old one.",
    )
    REPLAY_ORDERED = (
        "replay.ordered",
        True,
        "Nothing to do. A person had what died in a period sent again; its replays follow.",
    )
    TRANSFER_EXPIRED = (
        "transfer.expired",
        True,
        (
            "It was certainly not delivered within its lifetime. Tell the unit; replay when the "
            "axis is back."
        ),
    )
    TRANSFER_WITHDRAWN = (
        "transfer.withdrawn",
        True,
        "Nothing to do. It was taken back before any attempt can have delivered it.",
    )
    TRANSFER_REROUTED = (
        "transfer.rerouted",
        True,
        "Nothing to do. Another transfer on another axis carries the document on.",
    )
    TRANSFER_SETTLED = (
        "transfer.settled",
        True,
        "Nothing to do. It was in doubt, and the axis' own list says that it is there.",
    )
    RECIPIENT_MOVED = (
        "recipient.moved",
        True,
        "Nothing to do, except for `NOT_DELIVERED` and `REJECTED`: tell the unit.",
    )
    REPORT_AVAILABLE = (
        "report.available",
        True,
        (
            "Nothing to do. The sender can read that its document did not arrive, or waits, and "
            "why; of two documents under one DocumentId the receiver can read it as well."
        ),
    )
    AXIS_PAUSED = (
        "axis.paused",
        False,
        (
            "Attempts on this axis failed one after the other (`trips`: how often in a row it was "
            "paused). Nothing is lost; one transfer tries at `until`. For long: ask its operator."
        ),
    )
    AXIS_PROBED = ("axis.probed", False, "Nothing to do. One transfer finds out how the axis is.")
    AXIS_RESUMED = ("axis.resumed", False, "Nothing to do. The axis answers; transfers flow again.")
    # --- inbound
    FETCH_FAILED = (
        "fetch.failed",
        True,
        "Nothing for one. It is tried again; the axis was told nothing, so nothing is lost.",
    )
    FETCH_HELD = (
        "fetch.held",
        True,
        "The same failure several times: ask the axis' operator about this docId, then release.",
    )
    FETCH_RELEASED = ("fetch.released", True, "Nothing to do. A person let it be tried again.")
    ARRIVAL_RECEIVED = (
        "arrival.received",
        True,
        "Nothing to do. The bytes are durable; when nothing is opened afterwards, look at `open`.",
    )
    ARRIVAL_OPENED = (
        "arrival.opened",
        True,
        (
            "Nothing for OPENED and DUPLICATE. ORPHAN: a status for a document we do not know; "
            "after a restore ask the unit. QUARANTINED: read the findings and ask the sender or "
            "the axis."
        ),
    )
    ARRIVAL_REJUDGED = (
        "arrival.rejudged",
        True,
        (
            "Nothing for `trusted`. `revoked`: the certificate behind a signature that was already "
            "handed over had been revoked; tell the unit that received the document."
        ),
    )
    ARRIVAL_COUNTERSIGNED = (
        "arrival.countersigned",
        True,
        (
            "Nothing to do. A weak signature came; what it was and what we found stands in the "
            "ledger under our own key. Ask the sender to sign with SHA-256 and RSA 2048 or better."
        ),
    )
    ARRIVAL_HUNG = (
        "arrival.hung",
        False,
        (
            "A package blocks its opening; after the second time it is quarantined. Keep it for "
            "the developers, and restart the process when it is quiet: a thread stays behind."
        ),
    )
    ARRIVAL_RETURNED = (
        "arrival.returned",
        True,
        "Nothing to do. A quarantined package was sent back to its sender with the reason.",
    )
    ITEM_AVAILABLE = (
        "item.available",
        True,
        "Nothing to do. When units do not fetch for hours, ask them whether their system runs.",
    )
    ITEM_LEASED = (
        "item.leased",
        False,
        "Nothing to do. A lease hides the item from other readers for a while; no legal fact.",
    )
    ITEM_FETCHED = (
        "item.fetched",
        True,
        "Nothing to do. When no `item.entered` follows, the unit's system does not confirm: ask.",
    )
    ITEM_ENTERED = (
        "item.entered",
        True,
        "Nothing to do. The legal moment of receiving; status 01 goes back to the sender.",
    )
    ITEM_SEEN = ("item.seen", True, "Nothing to do. The unit settled a status or a report.")
    ITEM_REFUSED = (
        "item.refused",
        True,
        "Nothing to do. The unit refused the document with a reason; status 02 goes back.",
    )
    ITEM_RECALLED = ("item.recalled", True, "Nothing to do. The sender recalled the document.")
    # --- reconciliation
    RECONCILIATION_MADE = (
        "reconciliation.made",
        True,
        (
            "Read the report when `wanting` is above 0: `reconcile` shows it. Questions without "
            "an answer are the axis' silence, no proof of loss."
        ),
    )
    RECONCILIATION_SKIPPED = (
        "reconciliation.skipped",
        False,
        (
            "Nothing was reconciled from `first` to `last`: the gateway stood still for longer "
            "than it looks back. Ask for each of these days: `reconcile --axis --day`."
        ),
    )
    RECONCILIATION_PUT_OFF = (
        "reconciliation.put_off",
        False,
        (
            "An axis did not answer, so its daily reconciliation waits and is tried again. After "
            "six hours the report is made without its answers."
        ),
    )
    # --- people, clock, process
    ACCOUNT_ADDED = (
        "account.added",
        True,
        "Check that somebody asked for it: a key speaks for agencies.",
    )
    ACCOUNT_REVOKED = (
        "account.revoked",
        True,
        "Nothing to do. The key is refused from this moment on.",
    )
    CLOCK_STEPPED = (
        "clock.stepped",
        True,
        (
            "The machine's clock went back by more than 2 s. Repair its time synchronisation; "
            "records keep the clock as it was, stamps bound the truth."
        ),
    )
    CONF_EXCEPTION = (
        "conf.exception",
        True,
        (
            "The configuration allows what the rule forbids, such as plain http to an axis; the "
            "record has the reason. An empty list: the exception is over. Check who decided it."
        ),
    )
    GATEWAY_STARTED = ("gateway.started", False, "Nothing to do; unexpected: ask who restarted.")
    GATEWAY_STOPPED = ("gateway.stopped", False, "Nothing to do; unexpected: ask who stopped it.")
    CONFIGURATION_REFUSED = (
        "configuration.refused",
        False,
        "The process did not start. `conf check` names every mistake with file, line and key.",
    )
    REQUEST_SERVED = (
        "request.served",
        False,
        "Nothing to do. Many 401 or 403 from one account: its key may be in wrong hands.",
    )
    REVOCATION_FAILED = (
        "revocation.failed",
        False,
        (
            "An authority did not give its list or answer (`code`, `host`). What is held stays "
            "until `trust.max_age`; then signatures are `unknown_revocation`. Ask the authority, or"
            " lay its list into conf/trust/lists."
        ),
    )
    COLLECT_DONE = ("collect.done", False, "Nothing to do. Packages were fetched from an axis.")
    COLLECT_LIST_FAILED = (
        "collect.list_failed",
        False,
        "The axis did not give its list. For long: ask its operator; nothing is lost meanwhile.",
    )
    COLLECT_UNCONFIRMED = (
        "collect.unconfirmed",
        False,
        (
            "Documents of an axis were not confirmed for a month: their senders hear nothing. Ask "
            "the units whose inbox they wait in; look into the quarantine too."
        ),
    )
    LEASE_LOST = (
        "lease.lost",
        False,
        (
            "A step took longer than its lease and was given up. Often: the disk or the database "
            "is slow, or the deadline is too near to the lease."
        ),
    )
    ATTEMPT_ALARMED = (
        "attempt.alarmed",
        False,
        (
            "It goes again by itself, and will fail again until a person acts (`code`): "
            "`connect.certificate`: the axis' certificate expired or is of nobody we trust; 401, "
            "403: our account. Ask the axis' operator; nothing is lost meanwhile."
        ),
    )
    WORKER_STARTED = ("worker.started", False, "Nothing to do.")
    WORKER_STOPPED = ("worker.stopped", False, "Nothing to do when the gateway is stopping.")
    WORKER_UNAVAILABLE = (
        "worker.unavailable",
        False,
        (
            "Something the worker needs does not answer (`code`). It backs off by itself; when it"
            " lasts, repair that."
        ),
    )
    WORKER_SURPRISED = (
        "worker.surprised",
        False,
        "An error nobody foresaw. The worker goes on; send the line to the developers.",
    )
    WORKER_BROKEN = (
        "worker.broken",
        False,
        (
            "Stop and read: the ledger or the store does not add up. Do not restart into it; run "
            "`ledger verify`, keep a copy of the data folder, call the developers."
        ),
    )
    TOKEN_LOST = (
        "token.lost",
        False,
        (
            "A token with signing keys does not answer (`token`, `word`). Is it plugged in, does "
            "its driver run? Documents that need its key are answered 503 until it is back."
        ),
    )
    TOKEN_REOPENED = ("token.reopened", False, "Nothing to do. The token answers again.")
    BLOBS_SWEPT = ("blobs.swept", False, "Nothing to do. Unused files older than a day are gone.")
    BLOBS_AWAY = (
        "blobs.away",
        False,
        (
            "Packages cannot be kept or read (`detail`): a full disk, or an object store that does "
            "not answer or refuses. /readyz says so too; nothing is accepted until it is mended, "
            "and nothing is lost."
        ),
    )
    BLOBS_BACK = ("blobs.back", False, "Nothing to do. Packages can be kept and read again.")
    FOREIGN_SAID = (
        "foreign.said",
        False,
        "A library's own log line (`logger`, `detail`). WARNING and above deserve a look.",
    )
