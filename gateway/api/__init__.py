"""REST v1 for unit systems (contract 3): the door that speaks HTTP, and nothing more.

app       the table of routes, what happens around every request, `make_app(deps)`
deps      what the wiring gives: desk, blobs, limits, readiness, metrics
auth      whose key is this, and may it ask that
asking    query parameters and JSON bodies, strictly
uploads   multipart and raw bodies, streamed and hashed; memory first, then a private spool
serving   stored bytes going out: ranges, digests, and the record before the last byte
problems  errors -> RFC 9457; the only place that knows HTTP status codes
manual    the OpenAPI description and its readable form

In:     HTTP requests. Out: what `desk` answers, as JSON or bytes.
Fails:  always as a problem document; an unknown fault as a 500 without detail.
Never:  decides; reads a store, a corridor or a room. Those sit behind `desk`.
"""
