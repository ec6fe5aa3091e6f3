"""ADBC's PostgreSQL driver: Arrow tables by COPY in binary."""

import urllib.parse

import adbc_driver_postgresql.dbapi
import sql_endpoint

at = sql_endpoint.arguments()
checks = sql_endpoint.Checks()
login = f"{at.user}:{urllib.parse.quote(at.password)}@" if at.password else f"{at.user}@"
with adbc_driver_postgresql.dbapi.connect(f"postgresql://{login}{at.host}:{at.port}/centime") as connection:
    with connection.cursor() as cursor:
        cursor.execute("SELECT x_view, charge_period_start, billed_cost FROM cost LIMIT 1000")
        table = cursor.fetch_arrow_table()
        checks.equal("rows", table.num_rows, 1000)
        checks.equal("a day", str(table.schema.field("charge_period_start").type), "date32[day]")
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM cost WHERE x_view = $1", ("region",))
        checks.true("a parameter", cursor.fetchone()[0] > 0)
    objects = connection.adbc_get_objects(depth="tables").read_all().to_pylist()
    names = {
        table["table_name"]
        for catalog in objects
        for schema in catalog["catalog_db_schemas"] or []
        for table in schema["db_schema_tables"] or []
    }
    checks.true("objects", "cost" in names)
checks.end()
