"""What migrations say that SQLAlchemy has no words for: triggers, partitions, grants.

Used by migrations only. A change here changes history: tests/golden/store shows it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from alembic import op

Moves = Mapping[str, Sequence[str]]

MONTHS_AHEAD = 12


def _on_sqlite() -> bool:
    return op.get_context().dialect.name == "sqlite"


def append_only(*tables: str) -> None:
    """From now on `tables` refuse UPDATE and DELETE, on PostgreSQL TRUNCATE too.

    On SQLite triggers say RAISE(ABORT): RAISE(ROLLBACK) would destroy the whole group commit.
    """
    if _on_sqlite():
        for table in tables:
            for verb in ("UPDATE", "DELETE"):
                op.execute(
                    f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table}\n"
                    f"BEGIN SELECT RAISE(ABORT, 'append_only: {table}'); END"
                )
        return
    for table in tables:
        # ALWAYS: a replication role switches ordinary triggers off
        op.execute(
            f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE ON {table}"
            " FOR EACH ROW EXECUTE FUNCTION edoc_append_only()"
        )
        op.execute(
            f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION edoc_append_only()"
        )
        for trigger in ("no_change", "no_truncate"):
            op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_{trigger}")


def moves(table: str, by_kind: Mapping[str, Moves]) -> None:
    """From now on an UPDATE of `state` in `table` goes along `by_kind`, or is refused.

    `by_kind`: kind -> old state -> new states; the kind "" stands for every row. A state that
    stays what it is is no move. To say it again with other states: `drop_moves` first.
    """
    allowed = _allowed(by_kind)
    if _on_sqlite():
        op.execute(
            f'CREATE TRIGGER {table}_moves BEFORE UPDATE OF state ON "{table}"\n'
            f"WHEN OLD.state <> NEW.state AND NOT {allowed}\n"
            f"BEGIN SELECT RAISE(ABORT, 'transition: {table}'); END"
        )
        return
    op.execute(
        f'CREATE TRIGGER {table}_moves BEFORE UPDATE OF state ON "{table}" FOR EACH ROW'
        f" WHEN (OLD.state <> NEW.state AND NOT {allowed})"
        " EXECUTE FUNCTION edoc_illegal_transition()"
    )
    op.execute(f'ALTER TABLE "{table}" ENABLE ALWAYS TRIGGER {table}_moves')


def drop_moves(table: str) -> None:
    """Before `moves` says it anew."""
    where = "" if _on_sqlite() else f' ON "{table}"'
    op.execute(f"DROP TRIGGER IF EXISTS {table}_moves{where}")


def transition_function() -> None:
    """PostgreSQL: what the triggers of `moves` call. It runs only for what is refused."""
    if _on_sqlite():
        return
    op.execute(
        """
        CREATE FUNCTION edoc_illegal_transition() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          RAISE EXCEPTION 'transition: % -> %', OLD.state, NEW.state
            USING ERRCODE = 'triggered_data_change_violation', TABLE = TG_TABLE_NAME;
        END $$
        """
    )


def _allowed(by_kind: Mapping[str, Moves]) -> str:
    """The condition under which a move is allowed, in words that both databases know."""
    if set(by_kind) == {""}:
        return _along(by_kind[""])
    whens = " ".join(f"WHEN '{kind}' THEN {_along(its)}" for kind, its in by_kind.items())
    return f"(CASE OLD.kind {whens} ELSE FALSE END)"


def _along(its: Moves) -> str:
    whens = "".join(
        f"\n  WHEN '{old}' THEN NEW.state IN ({', '.join(repr(new) for new in news)})"
        for old, news in its.items()
        if news
    )
    return f"(CASE OLD.state{whens}\n  ELSE FALSE END)"


def functions() -> None:
    """PostgreSQL: what the triggers call, and what makes the partitions of coming months.

    The second runs with its owner's rights, because the application's role owns no table.
    """
    if _on_sqlite():
        return
    op.execute(
        """
        CREATE FUNCTION edoc_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          RAISE EXCEPTION 'append_only: %', TG_TABLE_NAME
            USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;
        END $$
        """
    )
    op.execute(
        """
        CREATE FUNCTION edoc_ensure_months(since timestamptz, ahead integer) RETURNS integer
        LANGUAGE plpgsql SECURITY DEFINER AS $$
        DECLARE
          parent record;
          month timestamp;
          part text;
          made integer := 0;
        BEGIN
          PERFORM pg_advisory_xact_lock(hashtext('edoc_ensure_months'));
          FOR parent IN
            SELECT c.relname FROM pg_partitioned_table p JOIN pg_class c ON c.oid = p.partrelid
            WHERE c.relnamespace = current_schema()::regnamespace ORDER BY c.relname
          LOOP
            FOR n IN 0..ahead LOOP
              month := date_trunc('month', since AT TIME ZONE 'UTC') + make_interval(months => n);
              part := parent.relname || to_char(month, '"_y"YYYY"m"MM');
              CONTINUE WHEN to_regclass(quote_ident(part)) IS NOT NULL;
              BEGIN
                EXECUTE format(
                  'CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)',
                  part, parent.relname,
                  month AT TIME ZONE 'UTC', (month + interval '1 month') AT TIME ZONE 'UTC');
                made := made + 1;
              EXCEPTION WHEN check_violation THEN
                RAISE WARNING '% stays in the default partition: it already has rows there', part;
              END;
            END LOOP;
          END LOOP;
          RETURN made;
        END $$
        """
    )
    # a SECURITY DEFINER function must not find its names in a schema of its caller
    op.execute(
        """
        DO $$ BEGIN
          EXECUTE format('ALTER FUNCTION edoc_ensure_months(timestamptz, integer)'
            ' SET search_path = %I, pg_temp', current_schema());
          -- whoever waits for the lock of a new partition holds up everybody behind him
          ALTER FUNCTION edoc_ensure_months(timestamptz, integer) SET lock_timeout = '2s';
        END $$
        """
    )
    op.execute("REVOKE ALL ON FUNCTION edoc_ensure_months(timestamptz, integer) FROM PUBLIC")


def by_month(*tables: str) -> None:
    """Partitions for a table made with `postgresql_partition_by`: every other row, and a year."""
    if _on_sqlite():
        return
    for table in tables:
        op.execute(f"CREATE TABLE {table}_default PARTITION OF {table} DEFAULT")
    op.execute(f"SELECT edoc_ensure_months(clock_timestamp(), {MONTHS_AHEAD:d})")
