"""The memory: tables and statements once, driven by two executors behind one call (architecture 6).

`session.py` is the face: read it first. `tables.py` holds every table, one module a noun the
statements over them; `sqlite.py` and `postgres.py` drive them; `migrations` makes the schema;
`lock.py` guards a SQLite database against a second gateway process.
"""

from gateway.store.session import Listener, Row, Rows, Store, Tx, Violation

__all__ = ["Listener", "Row", "Rows", "Store", "Tx", "Violation"]
