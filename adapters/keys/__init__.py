"""Keys: who may use one, and where it lies.

files.py    a private key in a PEM or PKCS#12 file -> a `KeyHolder` (ports.py)
vault.py    secrets that must be used in the clear (HMAC, axis and webhook secrets), sealed
ledger.py   the key that signs checkpoints and receipts
make.py     keys and certificates for a sandbox: a CA that says so in its name
pkcs11.py   a private key on a token (PKCS#11) -> a `KeyHolder`. Beside it: token_link.py asks the
            token's process and starts it again, token_process.py is that process, token_wire.py
            what passes between the two
certificates.py  certificates beside a key, read and judged
private.py  the one way a secret file is read: owner only, small, never named with its content

What holds for all of them: no secret ever stands in a `repr`, a log line or an error.
"""
