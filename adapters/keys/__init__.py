"""Keys: who may use one, and where it lies.

files.py    a private key in a PEM or PKCS#12 file -> a `KeyHolder` (ports.py)
vault.py    secrets that must be used in the clear (HMAC, axis and webhook secrets), sealed
ledger.py   the key that signs checkpoints and receipts
make.py     keys and certificates for a sandbox: a CA that says so in its name
private.py  the one way a secret file is read: owner only, small, never named with its content

What holds for all of them: no secret ever stands in a `repr`, a log line or an error.
"""
