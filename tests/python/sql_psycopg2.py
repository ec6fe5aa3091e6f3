"""psycopg 2: the simple protocol, as Superset and many scripts use it."""

import psycopg2
import psycopg2.errors
import psycopg2.extras
import sql_endpoint

at = sql_endpoint.arguments()
checks = sql_endpoint.Checks()
connection = psycopg2.connect(
    host=at.host, port=at.port, user=at.user, password=at.password, dbname="centime",
    application_name="a script",
)
cursor = connection.cursor()
for sql, expected in sql_endpoint.FACTS:
    cursor.execute(sql)
    checks.equal(sql, cursor.fetchone()[0], expected)
cursor.execute("SELECT %s || %s", ("it's", ' "quoted"'))
checks.equal("parameters", cursor.fetchone()[0], "it's \"quoted\"")
cursor.execute("SELECT charge_period_start, sum(effective_cost) AS usd FROM cost "
               "WHERE x_view = %s GROUP BY 1 ORDER BY 1 LIMIT 3", ("region",))
checks.equal("names", [column.name for column in cursor.description], ["charge_period_start", "usd"])
checks.equal("rows", len(cursor.fetchall()), 3)
cursor.execute("SHOW application_name")
checks.equal("application_name", cursor.fetchone()[0], "a script")
cursor.execute("SELECT 1; SELECT 2")
checks.equal("the last of several", cursor.fetchall(), [(2,)])

# A transaction that failed takes nothing but its end.
try:
    cursor.execute("SELECT * FROM no_such_table")
except psycopg2.errors.UndefinedTable as error:
    checks.equal("sqlstate", error.pgcode, "42P01")
try:
    cursor.execute("SELECT 1")
    checks.true("a failed transaction answered", False)
except psycopg2.errors.InFailedSqlTransaction:
    pass
connection.rollback()
cursor.execute("SELECT 1")
checks.equal("after rollback", cursor.fetchone(), (1,))

# Read-only sessions and isolation levels are what it is anyway.
connection.rollback()
connection.set_session(readonly=True, isolation_level="REPEATABLE READ")
cursor.execute("SELECT count(*) FROM cost")
first = cursor.fetchone()
cursor.execute("SELECT count(*) FROM cost")
checks.equal("repeatable read", cursor.fetchone(), first)
connection.rollback()
connection.set_session(readonly=False, isolation_level="DEFAULT", autocommit=True)

# Cursors of the server: in a transaction, and held beyond it.
connection.autocommit = False
with connection.cursor(name="in pieces") as pieces:
    pieces.itersize = 300
    pieces.execute("SELECT billed_cost FROM cost LIMIT %s", (1000,))
    checks.equal("a cursor of the server", len(list(pieces)), 1000)
connection.rollback()
held = connection.cursor(name="held", withhold=True)
held.execute("SELECT billed_cost FROM cost LIMIT 700")
first = held.fetchmany(200)
connection.commit()
checks.equal("a cursor that is held", (len(first), len(held.fetchall())), (200, 500))
held.close()
connection.rollback()
connection.autocommit = True
try:
    cursor.execute("DECLARE nothing CURSOR FOR SELECT 1")
    checks.true("a cursor outside of a transaction", False)
except psycopg2.Error as error:
    checks.equal("a cursor outside of a transaction", error.pgcode, "25P01")

# Prepared by SQL.
cursor.execute("PREPARE views (text, int) AS SELECT count(*) FROM cost WHERE x_view = $1 AND $2 > 0")
cursor.execute("EXECUTE views ('region', 1)")
checks.true("executed", cursor.fetchone()[0] > 0)
cursor.execute("EXECUTE views (NULL, -1)")
checks.equal("executed with nothing", cursor.fetchone()[0], 0)
cursor.execute("DEALLOCATE views")

# What names things, and any period against any other.
cursor.execute("SELECT aws_service('AWS Lambda'), resource_name('arn:aws:sns:eu-west-1:1:t')")
checks.equal("names", cursor.fetchone(), ("lambda", "t"))
cursor.execute("SELECT min(time)::date, max(time)::date FROM cost_days")
first, last = map(str, cursor.fetchone())
cursor.execute(f"SELECT sum(from_usd), sum(to_usd), sum(change_usd), sum(volume_usd + price_usd + new_usd "
               f"+ other_usd) FROM cost_change('{first}', '{first}', '{last}', '{last}')")
before, after, change, effects = cursor.fetchone()
checks.equal("a change", after - before, change)
checks.equal("its effects", effects, change)

with open("/dev/null", "w") as sink:
    cursor.copy_expert("COPY (SELECT account, monthly_saving FROM findings) TO STDOUT WITH CSV HEADER", sink)
dictionaries = connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor)
dictionaries.execute("SELECT 1 AS a, 'x' AS b")
checks.equal("dictionaries", dict(dictionaries.fetchone()), {"a": 1, "b": "x"})
connection.close()
checks.end()
