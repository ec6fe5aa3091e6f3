"""pg8000: a driver in pure Python with its own reading of the protocol."""

import pg8000.dbapi
import sql_endpoint

at = sql_endpoint.arguments()
checks = sql_endpoint.Checks()
connection = pg8000.dbapi.connect(
    host=at.host, port=at.port, user=at.user, password=at.password or None, database="centime"
)
cursor = connection.cursor()
for sql, expected in sql_endpoint.FACTS:
    cursor.execute(sql)
    checks.equal(sql, cursor.fetchone()[0], expected)
cursor.execute("SELECT count(*) FROM cost WHERE x_view = %s", ("region",))
checks.true("a parameter", cursor.fetchone()[0] > 0)
connection.rollback()
try:
    cursor.execute("DELETE FROM cost")
    checks.true("it deleted", False)
except pg8000.dbapi.DatabaseError as error:
    checks.equal("refused", error.args[0]["C"], "25006")
connection.rollback()
connection.close()
checks.end()
