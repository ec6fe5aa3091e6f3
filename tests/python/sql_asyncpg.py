"""asyncpg: named statements, binary values, and its own questions about types."""

import asyncio
import datetime
import decimal

import asyncpg
import sql_endpoint

at = sql_endpoint.arguments()
checks = sql_endpoint.Checks()


async def main():
    connection = await asyncpg.connect(
        host=at.host, port=at.port, user=at.user, password=at.password, database="centime"
    )
    for sql, expected in sql_endpoint.FACTS:
        checks.equal(sql, await connection.fetchval(sql), expected)
    row = await connection.fetchrow(
        "SELECT $1::text AS a, $2::bigint AS b, $3::numeric AS c, $4::date AS d, $5::timestamptz AS e",
        "x", 7, decimal.Decimal("1.5"), datetime.date(2026, 2, 18),
        datetime.datetime(2026, 2, 18, tzinfo=datetime.timezone.utc),
    )
    checks.equal("values", (row["a"], row["b"], row["c"], row["d"]),
                 ("x", 7, decimal.Decimal("1.5"), datetime.date(2026, 2, 18)))
    rows = await connection.fetch("SELECT * FROM findings WHERE service = ANY($1::text[])", ["msk"])
    checks.true("a list", all(row["service"] == "msk" for row in rows))
    async with connection.transaction(readonly=True, isolation="repeatable_read"):
        taken = 0
        async for _ in connection.cursor("SELECT billed_cost FROM cost LIMIT 1000"):
            taken += 1
    checks.equal("a cursor in pieces", taken, 1000)
    try:
        await connection.fetch("SELECT no_such FROM cost")
        checks.true("an unknown column", False)
    except asyncpg.UndefinedColumnError:
        pass
    statement = await connection.prepare("SELECT x_view, billed_cost FROM cost WHERE x_view = $1 LIMIT 1")
    checks.equal("types", [item.type.name for item in statement.get_attributes()], ["text", "numeric"])
    await connection.reset()
    await connection.close()


asyncio.run(main())
checks.end()
