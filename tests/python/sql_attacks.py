"""What must fail: writing, reading files, using up memory, getting in without a password. Each attempt
names the code that it fails with; the endpoint answers as before afterwards."""

import os
import socket
import struct
import time

import psycopg
import sql_endpoint

at = sql_endpoint.arguments()
checks = sql_endpoint.Checks()
target = dict(host=at.host, port=at.port, user=at.user, password=at.password, dbname="centime")

READ_ONLY, FORBIDDEN, SYNTAX = "25006", "42501", "42601"
NO_FUNCTION, NO_TABLE, MEMORY, DEEP, LIMIT, TIME = "42883", "42P01", "53200", "54001", "54000", "57014"

#: (what is tried, the code that it fails with)
STATEMENTS = [
    # Writing.
    ("INSERT INTO cost SELECT * FROM cost", READ_ONLY),
    ("UPDATE findings SET status = 'resolved'", READ_ONLY),
    ("DELETE FROM cost", READ_ONLY),
    ("TRUNCATE cost", READ_ONLY),
    ("MERGE INTO cost USING cost AS c ON true WHEN MATCHED THEN DELETE", READ_ONLY),
    ("DROP TABLE cost", READ_ONLY),
    ("ALTER TABLE cost RENAME TO c", READ_ONLY),
    ("CREATE TABLE t (a int)", READ_ONLY),
    ("CREATE TEMP TABLE t AS SELECT 1", READ_ONLY),
    ("CREATE VIEW v AS SELECT 1", READ_ONLY),
    ("SELECT * INTO t FROM cost", READ_ONLY),
    ("WITH x AS (INSERT INTO cost VALUES (1) RETURNING *) SELECT * FROM x", READ_ONLY),
    ("WITH x AS (DELETE FROM cost RETURNING *) SELECT * FROM x", READ_ONLY),
    ("SELECT 1 FROM cost FOR UPDATE", READ_ONLY),
    ("EXPLAIN ANALYZE INSERT INTO cost SELECT * FROM cost", READ_ONLY),
    ("SELECT 1; DROP TABLE cost", READ_ONLY),
    ("/* SELECT */ DROP /* 1 */ SCHEMA public CASCADE", READ_ONLY),
    ("DO $$ BEGIN PERFORM 1; END $$", READ_ONLY),
    ("BEGIN READ WRITE; DELETE FROM cost", READ_ONLY),
    ("PREPARE p AS DELETE FROM cost", READ_ONLY),
    ("BEGIN; DECLARE c CURSOR FOR DELETE FROM cost", READ_ONLY),
    ("EXECUTE p ((SELECT count(*) FROM cost))", "0A000"),
    # Reading and writing files.
    ("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'", READ_ONLY),
    ("COPY cost TO '/tmp/centime-attack'", FORBIDDEN),
    ("COPY (SELECT 1) TO PROGRAM 'touch /tmp/centime-attack'", FORBIDDEN),
    ("COPY (SELECT 1) TO '/tmp/centime-attack' STORED AS PARQUET", SYNTAX),
    ("COPY cost FROM '/etc/passwd'", READ_ONLY),
    ("SELECT * FROM '/etc/passwd'", NO_TABLE),
    ("SELECT * FROM \"/etc/passwd\"", NO_TABLE),
    ("SELECT * FROM \"file:///etc/passwd\"", NO_TABLE),
    ("SELECT * FROM read_csv('/etc/passwd')", NO_FUNCTION),
    ("SELECT * FROM read_parquet('/etc/passwd')", NO_FUNCTION),
    ("SELECT pg_read_file('/etc/passwd')", NO_FUNCTION),
    ("SELECT pg_ls_dir('/')", NO_FUNCTION),
    ("SELECT lo_import('/etc/passwd')", NO_FUNCTION),
    ("SELECT * FROM dblink('host=127.0.0.1', 'SELECT 1') AS t(a int)", NO_FUNCTION),
    ("LOAD '/tmp/library.so'", READ_ONLY),
    # Becoming somebody else.
    ("SET ROLE centime", FORBIDDEN),
    ("SET SESSION AUTHORIZATION centime", FORBIDDEN),
    ("SET is_superuser = on", "55P02"),
    # Using up memory, threads, the stack.
    ("SELECT array_agg(a.value || repeat('x', 1000)) FROM generate_series(1, 10000000) a", MEMORY),
    ("SELECT a.value, b.value FROM generate_series(1, 5000000) a JOIN generate_series(1, 5000000) b USING (value) ORDER BY 2 DESC", MEMORY),
    ("SELECT repeat('x', 2000000000)", MEMORY),
    ("SELECT length(replace(repeat('x', 1000000), 'x', repeat('y', 1000000)))", MEMORY),
    ("SELECT lpad('x', 2000000000)", MEMORY),
    ("SELECT length(s || s || s || s) FROM (SELECT repeat('x', 30000000) AS s)", MEMORY),
    ("SELECT length(concat(s, s, s)) FROM (SELECT repeat('x', 30000000) AS s)", MEMORY),
    ("SELECT generate_series(1, 100000000000)", MEMORY),
    ("SELECT array_repeat('x', 1000000000)", MEMORY),
    ("SELECT 1" + "+1" * 50000, DEEP),
    ("SELECT " + "(" * 5000 + "1" + ")" * 5000, DEEP),
    ("SELECT " + "NOT " * 20000 + "true", DEEP),
    ("SELECT '" + "x" * 2000000 + "'", DEEP),
    ("SELECT * FROM generate_series(1, 100000000)", LIMIT),
    ("SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b WHERE a.value * b.value < 0", TIME),
    ("WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r", TIME),
]

with psycopg.connect(**target, autocommit=True) as connection:
    connection.execute("SET statement_timeout = '4s'")
    before = connection.execute("SELECT count(*), sum(billed_cost) FROM cost").fetchone()
    for sql, code in STATEMENTS:
        # In both protocols: without parameters and several statements, and prepared.
        for way in ("simple", "extended"):
            if way == "extended" and sql.count(";") == 1 and "$$" not in sql:
                continue
            told = "nothing"
            try:
                if way == "simple":
                    result = connection.pgconn.exec_(sql.encode())
                else:
                    result = connection.pgconn.exec_params(sql.encode(), [])
                state = result.error_field(psycopg.pq.DiagnosticField.SQLSTATE)
                told = state.decode() if state else "nothing"
            except psycopg.Error as error:
                told = f"{type(error).__name__}: {error}"
            checks.equal(f"{way}: {sql[:100]}", told, code)
            connection.pgconn.exec_(b"ROLLBACK")
    after = connection.execute("SELECT count(*), sum(billed_cost) FROM cost").fetchone()
    checks.equal("the lake is as it was", after, before)


def refused(what, code, **changes):
    """A login that fails."""
    try:
        psycopg.connect(**{**target, "connect_timeout": 15, **changes}).close()
        checks.true(f"{what}: it got in", False)
    except psycopg.OperationalError as error:
        words = {"28P01": "password authentication failed", "28000": "no user name", "53300": "too many"}
        checks.true(f"{what}: {error}", words[code] in str(error))


if at.password:
    refused("a wrong password", "28P01", password="wrong")
    refused("an empty password is none", "28P01", password="\N{NO-BREAK SPACE}")
    refused("another user", "28P01", user="postgres")
    refused("the owner, who has no password", "28P01", user="centime")


def raw(*messages):
    """Sends bytes and gives what comes back until the end."""
    with socket.create_connection((at.host, at.port), timeout=15) as link:
        for message in messages:
            link.sendall(message)
        answer = b""
        try:
            while part := link.recv(65536):
                answer += part
        except (TimeoutError, ConnectionResetError):
            pass
        return answer


def start(**parameters):
    body = b"".join(f"{name}\0{value}\0".encode() for name, value in parameters.items()) + b"\0"
    return struct.pack("!ii", len(body) + 8, 196608) + body


def message(kind, body):
    return kind + struct.pack("!i", len(body) + 4) + body


if at.password:
    query = message(b"Q", b"SELECT 1\0")
    # A statement in the place of the proof, and proofs that are none.
    checks.true("a query before the login", b"08P01" in raw(start(user=at.user), query))
    checks.true("a password in clear text", b"28P01" in raw(start(user=at.user), message(b"p", at.password.encode() + b"\0")))
    first = b"SCRAM-SHA-256\0" + struct.pack("!i", 9) + b"n,,n=,r=x"
    checks.true("a proof of nothing", b"28P01" in raw(start(user=at.user), message(b"p", first), message(b"p", b"c=biws,r=x,p=")))
    checks.true("another mechanism", b"28P01" in raw(start(user=at.user), message(b"p", b"PLAIN\0" + struct.pack("!i", 0))))
checks.true("no user", b"28000" in raw(start(database="centime")))
# Messages that lie about their length.
checks.true("a start of two gigabytes", raw(struct.pack("!ii", 2**31 - 1, 196608)) == b"")
checks.true("a start of no length", raw(struct.pack("!ii", 0, 196608)) == b"")
with psycopg.connect(**target, autocommit=True) as connection:
    link = socket.socket(fileno=os.dup(connection.fileno()))
    link.sendall(b"Q" + struct.pack("!i", 2**31 - 1))
    time.sleep(0.2)
    try:
        connection.execute("SELECT 1")
        checks.true("a message of two gigabytes was taken", False)
    except psycopg.OperationalError:
        checks.done += 1
    link.close()
# More connections than there may be.
held = []
try:
    for _ in range(40):
        held.append(psycopg.connect(**target))
    checks.true("40 connections", False)
except psycopg.OperationalError as error:
    checks.true(f"too many: {error}", "too many connections" in str(error))
for connection in held:
    connection.close()
time.sleep(0.5)
# A wrong key cancels nothing.
with psycopg.connect(**target, autocommit=True) as connection:
    wrong = struct.pack("!iiii", 16, 80877102, connection.info.backend_pid, 12345)
    raw(wrong)
    checks.equal("after a wrong key", connection.execute("SELECT 1").fetchone(), (1,))
    checks.equal("and it still answers", connection.execute("SELECT count(*) > 0 FROM cost").fetchone(), (True,))
checks.end()
