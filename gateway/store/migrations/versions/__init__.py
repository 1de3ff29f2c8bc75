"""One file a step, run in order, never edited once it has landed (tests/golden/store)."""
