"""SQLAlchemy: its inspector's questions to the catalog, its types, its Core; and pandas over it."""

import sqlalchemy as sa
import sql_endpoint

at = sql_endpoint.arguments()
checks = sql_endpoint.Checks()
for driver in ("psycopg2", "psycopg", "pg8000"):
    url = sa.URL.create(f"postgresql+{driver}", at.user, at.password or None, at.host, at.port, "centime")
    engine = sa.create_engine(url)
    inspector = sa.inspect(engine)
    checks.equal(f"{driver}: schemas", sorted(inspector.get_schema_names()), ["information_schema", "public"])
    tables = inspector.get_table_names()
    checks.true(f"{driver}: tables {tables}", {"cost", "usage", "findings"} <= set(tables))
    inspector.get_view_names()
    columns = {column["name"]: column for column in inspector.get_columns("cost")}
    checks.equal(f"{driver}: money", str(columns["billed_cost"]["type"]), "NUMERIC(38, 12)")
    checks.equal(f"{driver}: a day", str(columns["charge_period_start"]["type"]), "DATE")
    checks.true(f"{driver}: a comment", bool(columns["x_view"]["comment"]))
    checks.true(f"{driver}: the table's", bool(inspector.get_table_comment("cost")["text"]))
    checks.equal(f"{driver}: keys", inspector.get_pk_constraint("cost")["constrained_columns"], [])
    checks.equal(f"{driver}: foreign keys", inspector.get_foreign_keys("cost"), [])
    checks.equal(f"{driver}: indexes", inspector.get_indexes("cost"), [])
    checks.equal(f"{driver}: unique", inspector.get_unique_constraints("cost"), [])
    checks.true(f"{driver}: there", inspector.has_table("cost") and not inspector.has_table("no_such"))
    metadata = sa.MetaData()
    cost = sa.Table("cost", metadata, autoload_with=engine)
    with engine.connect() as connection:
        for sql, expected in sql_endpoint.FACTS:
            if "ARRAY" in sql and driver == "pg8000":
                continue
            checks.equal(f"{driver}: {sql}", connection.execute(sa.text(sql)).scalar(), expected)
        query = (
            sa.select(cost.c.charge_period_start, sa.func.sum(cost.c.billed_cost).label("usd"))
            .where(cost.c.x_view == "region")
            .group_by(cost.c.charge_period_start)
            .order_by(sa.desc("usd"))
            .limit(5)
        )
        checks.equal(f"{driver}: a query", len(connection.execute(query).all()), 5)
        try:
            connection.execute(cost.insert().values(x_view="x"))
            checks.true("it wrote", False)
        except sa.exc.DBAPIError as error:
            told = getattr(error.orig, "pgcode", None) or getattr(error.orig, "sqlstate", None)
            told = told or error.orig.args[0]["C"]
            checks.equal(f"{driver}: refused", told, "25006")
checks.end()
