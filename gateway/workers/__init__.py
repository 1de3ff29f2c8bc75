"""One file a job; `loop.py` turns them.

A file here, a unit in systemd/, a word of `run` and a label in the logs carry one name.

seal     records -> entries, checkpoint (20 ms pause)
stamp    newest checkpoint -> RFC 3161 token
deliver  due transfers -> attempts, for each axis its own hands
collect  what axes list -> durable raw bytes, acknowledged
open     raw bytes -> inbox items, settled statuses
sweep    all timers: attempts without an end, lifetimes, unused blobs, revocation data
"""
