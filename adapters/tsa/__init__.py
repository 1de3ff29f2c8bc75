"""RFC 3161 timestamp authorities: a client, and a local authority for sandboxes and tests.

client      ports.TimestampAuthority over HTTP POST
authority   issues real tokens from a key of its own (pure: bytes in, bytes out)
server      that authority behind HTTP, with faults on demand
make        a certificate authority, a stamping certificate and a key for it, marked as sandbox
"""
