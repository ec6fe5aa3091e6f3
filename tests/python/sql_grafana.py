"""What Grafana's PostgreSQL data source sends: its macros as they are expanded, its probes and its query
builder, each in the simple protocol (psycopg 2) and in the extended one (psycopg 3)."""

import psycopg
import psycopg2
import sql_endpoint

#: A day's instant, which the macros get as `time`.
TIME = "charge_period_start::timestamptz"
FROM, TO = "'2020-01-10T05:00:00Z'", "'2099-02-10T05:00:00.123Z'"
IN = f"FROM cost WHERE {TIME} BETWEEN {FROM} AND {TO} AND x_view = 'account_service'"

#: (what it is, SQL, names of its columns or None, whether there are rows)
QUERIES = [
    ("version", "SELECT current_setting('server_version_num')::int/100 as version", ["version"], True),
    ("timescaledb", "SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'", ["extversion"], False),
    ("a look", "SELECT 1", ["?column?"], True),
    ("$__time", f'SELECT {TIME} AS "time", effective_cost AS usd {IN} ORDER BY 1 LIMIT 5', ["time", "usd"], True),
    ("$__timeEpoch", f'SELECT extract(epoch from {TIME}) as "time" {IN} LIMIT 5', ["time"], True),
    ("$__timeFilter", f"SELECT count(*) {IN}", ["count"], True),
    ("$__timeFrom and $__timeTo", f"SELECT count(*) FROM cost WHERE {TIME} >= {FROM} AND {TIME} < {TO}", ["count"], True),
    ("$__timeGroup", f'SELECT floor(extract(epoch from {TIME})/86400)*86400 AS "time", sum(effective_cost) AS usd {IN} GROUP BY 1 ORDER BY 1', ["time", "usd"], True),
    ("$__timeGroupAlias", f'SELECT floor(extract(epoch from {TIME})/604800)*604800 AS "time", service_name AS metric, sum(effective_cost) AS usd {IN} GROUP BY 1, 2 ORDER BY 1', ["time", "metric", "usd"], True),
    ("$__unixEpochFilter", f"SELECT count(*) FROM cost WHERE extract(epoch from {TIME}) >= 1578632400 AND extract(epoch from {TIME}) <= 4074382800", ["count"], True),
    ("$__unixEpochGroup", f'SELECT floor((extract(epoch from {TIME}))/86400)*86400 AS "time" {IN} GROUP BY 1 ORDER BY 1', ["time"], True),
    ("$__unixEpochFrom", "SELECT 1578632400 AS a, 1578632400000000000 AS b, 1578632400::bigint * 2 AS c", ["a", "b", "c"], True),
    ("$__interval", f'SELECT date_bin(INTERVAL \'1 day\', {TIME}, TIMESTAMPTZ \'2000-01-01\') AS "time", count(*) {IN} GROUP BY 1 ORDER BY 1', ["time", "count"], True),
    ("a bucket", f"SELECT date_trunc('month', {TIME}) AS \"time\", service_name, sum(effective_cost) AS usd {IN} GROUP BY 1, 2 HAVING sum(effective_cost) > 1 ORDER BY 1, usd DESC NULLS LAST", ["time", "service_name", "usd"], True),
    ("casts of one column", "SELECT charge_period_start::date, charge_period_start::timestamptz FROM cost LIMIT 1", ["charge_period_start", "charge_period_start"], True),
    ("IN of a variable", f"SELECT count(*) {IN} AND service_name IN ('Amazon Relational Database Service','AWS Lambda')", ["count"], True),
    ("$__searchFilter", "SELECT DISTINCT resource_name AS __text, resource_id AS __value FROM findings WHERE resource_name LIKE '%' ORDER BY 1", ["__text", "__value"], True),
    ("a CTE and a window", f"""WITH days AS (SELECT {TIME} AS day, sum(effective_cost) AS usd {IN} GROUP BY 1)
        SELECT day AS "time", avg(usd) OVER w AS mean, usd / NULLIF((SELECT max(usd) FROM days), 0) AS share
        FROM days WINDOW w AS (ORDER BY day ROWS BETWEEN 6 PRECEDING AND CURRENT ROW) ORDER BY day""", ["time", "mean", "share"], True),
    ("CASE, concat, now", "SELECT CASE WHEN status = 'open' THEN concat(rule, ' ', region) ELSE '' END AS text, opened_at AS time, updated_at AS timeend, service AS tags FROM findings WHERE opened_at < now() + interval '7 days'", ["text", "time", "timeend", "tags"], True),
    ("JSON", "SELECT evidence::json->0->>'name' AS name FROM findings WHERE evidence <> '[]' LIMIT 1", ["name"], True),
    ("to_char", "SELECT to_char(charge_period_start, 'YYYY-MM') AS month FROM cost GROUP BY 1 ORDER BY 1", ["month"], True),
    ("TABLE", "TABLE runs", None, True),
    ("the builder's search path", """SELECT quote_ident(table_name) as table FROM information_schema.tables
        WHERE quote_ident(table_schema) NOT IN ('information_schema', 'pg_catalog', '_timescaledb_cache')
        AND quote_ident(table_schema) IN (
          SELECT CASE WHEN trim(s[i]) = '"$user"' THEN user ELSE trim(s[i]) END
          FROM generate_series(
            array_lower(string_to_array(current_setting('search_path'),','),1),
            array_upper(string_to_array(current_setting('search_path'),','),1)
          ) as i,
          string_to_array(current_setting('search_path'),',') s)""", ["table"], None),
    ("the builder's tables", "SELECT CASE WHEN quote_ident(table_schema) = 'public' THEN quote_ident(table_name) ELSE quote_ident(table_schema) || '.' || quote_ident(table_name) END AS \"table\" FROM information_schema.tables WHERE quote_ident(table_schema) NOT IN ('information_schema', 'pg_catalog') ORDER BY 1", ["table"], True),
    ("the builder's columns", "SELECT quote_ident(column_name) AS \"column\", data_type AS \"type\" FROM information_schema.columns WHERE quote_ident(table_name) = 'cost'", ["column", "type"], True),
    ("the newer builder's schemata", "SELECT schema_name FROM information_schema.schemata WHERE schema_name NOT LIKE 'pg_%' AND schema_name <> 'information_schema'", ["schema_name"], True),
    ("the newer builder's columns", "SELECT column_name, data_type, udt_name, numeric_precision, numeric_scale FROM information_schema.columns WHERE table_schema = 'public' AND table_name = 'cost' ORDER BY ordinal_position", ["column_name", "data_type", "udt_name", "numeric_precision", "numeric_scale"], True),
    ("the newer builder's values", """SELECT 'status' AS col_name, "status"::text AS val FROM (SELECT DISTINCT "status" FROM findings LIMIT 100) sub_0
        UNION ALL SELECT 'risk' AS col_name, "risk"::text AS val FROM (SELECT DISTINCT "risk" FROM findings LIMIT 100) sub_1""", ["col_name", "val"], True),
    ("a type", "SELECT pg_typeof(effective_cost), pg_typeof(charge_period_start) FROM cost LIMIT 1", ["pg_typeof", "pg_typeof"], True),
    ("age", "SELECT age(TIMESTAMP '2026-03-01', TIMESTAMP '2026-02-01') AS age", ["age"], True),
    ("probes of a server", "SELECT pg_is_in_recovery(), pg_backend_pid() > 0, has_table_privilege('cost', 'SELECT'), has_table_privilege('cost', 'INSERT')", None, True),
]

at = sql_endpoint.arguments()
checks = sql_endpoint.Checks()
target = dict(host=at.host, port=at.port, user=at.user, password=at.password, dbname="centime")
simple = psycopg2.connect(**target)
simple.autocommit = True
extended = psycopg.connect(**target, autocommit=True)


def ask(cursor, what, sql, names, has_rows):
    try:
        cursor.execute(sql)
        rows = cursor.fetchall()
    except Exception as error:  # What fails is told with the others.
        checks.true(f"{what}: {error}", False)
        return
    if names is not None:
        checks.equal(f"{what}: names", [column[0] for column in cursor.description], names)
    if has_rows is not None:
        checks.equal(f"{what}: has rows", bool(rows), has_rows)


for what, sql, names, has_rows in QUERIES:
    # psycopg 2 takes no parameters here, so `%` stands for itself.
    ask(simple.cursor(), f"simple {what}", sql, names, has_rows)
    ask(extended.cursor(), f"extended {what}", sql, names, has_rows)

# Pings, and the newest builder's questions with parameters.
for ping in ("-- ping", ";"):
    try:
        simple.cursor().execute(ping)
    except psycopg2.ProgrammingError as error:
        checks.true(f"{ping}: {error}", "empty" in str(error))
ask(
    extended.cursor(binary=True), "extended columns with parameters", QUERIES[-5][1], None, True,
)
rows = extended.execute(
    "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = %s AND table_name = %s "
    "ORDER BY ordinal_position", ("public", "cost"), prepare=True,
).fetchall()
checks.true("parameters", ("billed_cost", "numeric") in rows and ("charge_period_start", "date") in rows)
kinds = dict(extended.execute("SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = 'public'").fetchall())
month = extended.execute("SELECT to_char(DATE '2026-02-18', 'YYYY-MM')").fetchone()[0]
checks.equal("a month", month, "2026-02")
checks.equal("kinds of tables", kinds["cost"], "BASE TABLE")
checks.end()
