"""DuckDB's postgres extension: it reads the catalog in one go and the rows by COPY in binary."""

import pathlib
import sys

# Its extension is not there for the newest DuckDB: `make counterparts` puts both into a folder.
sys.path.insert(0, str(pathlib.Path(sys.prefix) / "duckdb-postgres"))

import duckdb
import sql_endpoint
from duckdb_extensions import import_extension

at = sql_endpoint.arguments()
checks = sql_endpoint.Checks()
import_extension("postgres_scanner")
duck = duckdb.connect()
duck.execute("LOAD postgres_scanner")
# In quotes of the connection, within quotes of DuckDB's SQL.
password = f" password=''{at.password}''" if at.password else ""
duck.execute(
    f"ATTACH 'host={at.host} port={at.port} user={at.user}{password} dbname=centime' AS lake "
    "(TYPE postgres, READ_ONLY)"
)
tables = {row[0] for row in duck.execute(
    "SELECT table_name FROM information_schema.tables WHERE table_catalog = 'lake'").fetchall()}
checks.true(f"tables {tables}", {"cost", "findings"} <= tables)
count, total = duck.execute(
    "SELECT count(*), sum(billed_cost) FROM lake.cost WHERE x_view = 'region'").fetchone()
known = duck.execute(
    "SELECT * FROM postgres_query('lake', 'SELECT count(*) AS n, sum(billed_cost) AS usd FROM cost "
    "WHERE x_view = ''region''')").fetchone()
checks.equal("rows", count, known[0])
checks.equal("money to the last decimal", round(total, 9), round(known[1], 9))
kinds = duck.execute("DESCRIBE lake.cost").fetchall()
checks.equal("types", {row[0]: row[1] for row in kinds}["billed_cost"], "DECIMAL(38,12)")
duck.execute("SELECT id, evidence, monthly_saving FROM lake.findings LIMIT 3").fetchall()
checks.end()
