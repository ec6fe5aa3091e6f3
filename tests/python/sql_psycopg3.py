"""psycopg 3: the extended protocol, prepared statements, binary values, COPY, cancelling."""

import datetime
import decimal
import threading
import time

import psycopg
import psycopg.rows
import sql_endpoint

at = sql_endpoint.arguments()
checks = sql_endpoint.Checks()
target = dict(host=at.host, port=at.port, user=at.user, password=at.password, dbname="centime")
with psycopg.connect(**target, autocommit=True) as connection:
    for binary in (False, True):
        cursor = connection.cursor(binary=binary)
        for sql, expected in sql_endpoint.FACTS:
            cursor.execute(sql, prepare=binary)
            checks.equal(f"{sql} binary={binary}", cursor.fetchone()[0], expected)
        for value in (
            7, 2**40, -1, 1.5, True, "it's", None, decimal.Decimal("12345.678"),
            datetime.date(2026, 2, 18),
            datetime.datetime(2026, 2, 18, 7, 33, tzinfo=datetime.timezone.utc),
            ["a", "b,c"], [1, 2, 3],
        ):
            placeholder = "%b" if binary and value is not None else "%s"
            kind = "::text[]" if value == ["a", "b,c"] else ""
            cursor.execute(f"SELECT {placeholder}{kind}", (value,))
            found = cursor.fetchone()[0]
            checks.equal(f"{value!r} binary={binary}", found, value)
        cursor.execute(
            "SELECT count(*) FROM cost WHERE x_view = %s AND charge_period_start >= %s "
            "AND billed_cost > %s",
            ("region", datetime.date(2000, 1, 1), decimal.Decimal("0.01")),
        )
        checks.true("a filter of three types", cursor.fetchone()[0] > 0)
        cursor.execute("SELECT * FROM findings WHERE service = ANY(%s) LIMIT %s", (["msk", "emr"], 5))
        checks.true("a list as a parameter", len(cursor.fetchall()) <= 5)
    # The same statement often: psycopg prepares it by itself.
    for number in range(8):
        row = connection.execute("SELECT %s::int + 1", (number,)).fetchone()
        checks.equal("prepared", row[0], number + 1)
    # Types are told right.
    cursor = connection.execute("SELECT billed_cost, charge_period_start, x_estimated FROM cost LIMIT 1")
    kinds = [column.type_display for column in cursor.description]
    checks.equal("types", kinds, ["numeric(38,12)", "date", "bool"])
    cursor = connection.execute("SELECT opened_at FROM findings LIMIT 1")
    checks.equal("instants", cursor.description[0].type_display, "timestamptz")
    # A cursor in the client, in pieces.
    rows = list(connection.cursor().stream("SELECT billed_cost FROM cost LIMIT 5000"))
    checks.equal("streamed", len(rows), 5000)
    with connection.transaction(), connection.cursor("server side") as pieces:
        pieces.execute("SELECT billed_cost FROM cost WHERE x_view = %s LIMIT 400", ("region",))
        checks.equal("a cursor of the server", len(pieces.fetchmany(150)), 150)
        checks.equal("its rest", len(pieces.fetchall()), 250)
    with connection.cursor().copy("COPY (SELECT x_view, billed_cost FROM cost LIMIT 10) TO STDOUT (FORMAT BINARY)") as copy:
        copy.set_types(["text", "numeric"])
        rows = list(copy.rows())
    checks.equal("copied", len(rows), 10)
    checks.true("copied money", all(isinstance(row[1], decimal.Decimal) for row in rows))
    with connection.pipeline():
        answers = [connection.execute("SELECT %s::int", (number,)) for number in range(20)]
    checks.equal("pipelined", [answer.fetchone()[0] for answer in answers], list(range(20)))

    # Cancelling, and the time of a statement.
    slow = ("SELECT count(*) FROM generate_series(1, 300000) a, generate_series(1, 300000) b "
            "WHERE a.value + b.value = 7")
    timer = threading.Timer(0.5, connection.cancel)
    timer.start()
    began = time.monotonic()
    try:
        connection.execute(slow)
        checks.true("it was not cancelled", False)
    except psycopg.errors.QueryCanceled as error:
        checks.equal("cancelled", error.sqlstate, "57014")
    checks.true("cancelling takes long", time.monotonic() - began < 5)
    connection.execute("SET statement_timeout = 300")
    try:
        connection.execute(slow)
        checks.true("it had all the time", False)
    except psycopg.errors.QueryCanceled as error:
        checks.true("the time is told", "timeout" in str(error))
    connection.execute("RESET statement_timeout")
    # As it was: before the lake there was nothing, or it is not kept.
    with connection.transaction():
        connection.execute("SET LOCAL centime.as_of = '2100-01-01'")
        later = connection.execute("SELECT count(*) FROM cost").fetchone()
    checks.equal("the setting ended", connection.execute("SHOW centime.as_of").fetchone()[0], "")
    checks.equal("the future is now", connection.execute("SELECT count(*) FROM cost").fetchone(), later)
checks.end()
