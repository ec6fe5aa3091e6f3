"""Asks every query of every dashboard, as Grafana sends it, of centime and of PostgreSQL.

usage: panels.py ADDRESS FIRST LAST FOLDER

ADDRESS is centime's SQL endpoint, FIRST and LAST are the days that are shown, FOLDER is for PostgreSQL's
files. PostgreSQL holds the charges themselves, with an index on their day; and, in a second schema, the
rows of centime's views, as somebody would who keeps sums of them. All must answer the same.
"""

import glob
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path

import psycopg2

ROUNDS = 5
TYPES = {16: "boolean", 20: "bigint", 25: "text", 701: "double precision", 1082: "date",
         1184: "timestamptz", 1700: "numeric"}
# As the bill's charges; `cost_days` and `resource_days` are views of it.
CHARGES = """
    select charge_period_start as time, sub_account_id as account, service_name, region_id as aws_region,
      sku_meter as usage_type, x_record_type as record_type, resource_id, tags, effective_cost as cost_usd,
      billed_cost as billed_usd, consumed_quantity as usage_quantity, consumed_unit as usage_unit
    from cost where x_view = 'charge'"""
VIEWS = """
    create view charges.cost_days as select time, account, aws_service, service_name, aws_region,
      usage_type, cost_env, cost_team, record_type, 'final' as state, cost_usd, billed_usd,
      usage_quantity, usage_unit from charges.charges;
    create view charges.resource_days as select time, resource, resource_id, aws_service, account,
      aws_region, cost_env, cost_team, sum(cost_usd) as cost_usd from charges.charges
      group by time, resource, resource_id, aws_service, account, aws_region, cost_env, cost_team;
    create view charges.resource_months as select date_trunc('month', time) as time, resource,
      resource_id, aws_service, account, aws_region, cost_env, cost_team, sum(cost_usd) as cost_usd,
      count(*) as days from charges.resource_days
      group by date_trunc('month', time), resource, resource_id, aws_service, account, aws_region,
        cost_env, cost_team;"""
COPIED = ["unit_costs", "utilization_days", "months", "day_status", "findings", "allocations", "measured_changes"]


def start_postgres(folder: Path):
    """A server of its own, which ends with this program; PostgreSQL refuses to run as root."""
    binaries = next(iter(sorted(glob.glob("/usr/lib/postgresql/*/bin"))), "")
    as_nobody = []
    folder.mkdir()
    if os.getuid() == 0:
        as_nobody = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
        os.chown(folder, 65534, 65534)
        for above in folder.parents:
            if above == Path("/tmp"):
                break
            above.chmod(0o755)
    data = folder / "data"
    subprocess.run([*as_nobody, f"{binaries}/initdb", "-D", data, "-U", "bench", "-A", "trust",
                    "--no-sync", "-E", "UTF8", "--locale=C"], check=True, stdout=subprocess.DEVNULL)
    server = subprocess.Popen(
        [*as_nobody, f"{binaries}/postgres", "-D", data, "-k", folder, "-c", "listen_addresses=",
         "-c", "fsync=off", "-c", "shared_buffers=2GB", "-c", "work_mem=256MB",
         "-c", "maintenance_work_mem=1GB", "-c", "max_wal_size=8GB", "-c", "timezone=UTC",
         "-c", "effective_cache_size=8GB"], stderr=subprocess.DEVNULL)
    for _ in range(300):
        try:
            return server, psycopg2.connect(host=str(folder), user="bench", dbname="postgres")
        except psycopg2.OperationalError:
            time.sleep(0.1)
    raise SystemExit("PostgreSQL did not start")


def copy(source, target, query: str, table: str) -> int:
    """Rows of a query into a new table."""
    with source.cursor() as asking:
        asking.execute(f"select * from ({query}) q limit 0")
        columns = ", ".join(f'"{it.name}" {TYPES[it.type_code]}' for it in asking.description)
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(read)
            with os.fdopen(write, "wb") as out:
                asking.copy_expert(f"copy ({query}) to stdout", out)
            os._exit(0)
        os.close(write)
        with target.cursor() as cursor, os.fdopen(read, "rb") as rows:
            cursor.execute(f"create unlogged table {table} ({columns})")
            cursor.copy_expert(f"copy {table} from stdin", rows)
            count = cursor.rowcount
        _, status = os.waitpid(pid, 0)
        assert status == 0, f"{table} was not copied"
        return count


def fill(centime_dsn: str, postgres) -> None:
    source = psycopg2.connect(centime_dsn)
    with postgres.cursor() as cursor:
        cursor.execute("create schema charges; create schema cut")
    began = time.monotonic()
    rows = copy(source, postgres, CHARGES, "charges.staged")
    source = psycopg2.connect(centime_dsn)
    for table in COPIED:
        copy(source, postgres, f"select * from {table}", f"cut.{table}")
        source = psycopg2.connect(centime_dsn)
    held = {}
    for table in ["cost_days", "resource_months"]:
        held[table] = copy(source, postgres, f"select * from {table}", f"cut.{table}")
        source = psycopg2.connect(centime_dsn)
    with postgres.cursor() as cursor:
        cursor.execute("""
            create unlogged table charges.charges as select s.time::timestamptz as time, s.account,
              n.aws_service, s.service_name, s.aws_region, s.usage_type,
              s.tags::jsonb ->> 'environment' as cost_env, s.tags::jsonb ->> 'team' as cost_team,
              s.record_type, split_part(s.resource_id, '/', 2) as resource, s.resource_id, s.cost_usd,
              s.billed_usd, s.usage_quantity, s.usage_unit
            from charges.staged s
            join (select distinct aws_service, service_name from cut.cost_days) n using (service_name);
            drop table charges.staged;
            create index on charges.charges (time);
            create index on cut.cost_days (time);
            create index on cut.resource_months (time)""")
        cursor.execute(VIEWS)
        cursor.execute("create unlogged table cut.resource_days as select * from charges.resource_days")
        held["resource_days"] = cursor.rowcount
        cursor.execute("create index on cut.resource_days (time)")
        for table in COPIED:
            cursor.execute(f"create view charges.{table} as select * from cut.{table}")
    postgres.commit()
    postgres.autocommit = True
    with postgres.cursor() as cursor:
        cursor.execute("vacuum analyze")
        cursor.execute("select count(*) from charges.charges")
        assert cursor.fetchone()[0] == rows
    print(f"PostgreSQL has {rows:,} charges, and {held['cost_days']:,} rows of cost_days, "
          f"{held['resource_days']:,} of resource_days, {held['resource_months']:,} of resource_months "
          f"({time.monotonic() - began:.0f} s to copy them)\n")


def expanded(sql: str, start: str, end: str, variables: dict) -> str:
    """What Grafana makes of a query before it is sent."""
    sql = re.sub(r"\$__timeFilter\(([^)]*)\)", rf"\1 BETWEEN '{start}' AND '{end}'", sql)
    sql = sql.replace("$__timeFrom()", f"'{start}'").replace("$__timeTo()", f"'{end}'")
    for name in sorted(variables, key=len, reverse=True):
        sql = sql.replace("${" + name + "}", variables[name]).replace("$" + name, variables[name])
    return sql


def panels(board: dict):
    for panel in board["panels"]:
        yield panel
        yield from panel.get("panels", [])


def questions(connection, start: str, end: str) -> list:
    """Title and SQL of every query, with all that a variable can choose, and each choice of a list."""
    asked = []
    for path in sorted(Path(__file__).parents[2].glob("dashboards/*.json")):
        board = json.loads(path.read_text())
        if not isinstance(board, dict) or "panels" not in board:
            continue
        variables = {}
        listed = board["templating"]["list"]
        for variable in listed:
            name = variable["name"]
            if variable["type"] == "custom":
                variables[name] = variable["current"]["value"]
            elif variable["type"] == "query" and isinstance(variable["query"], str):
                sql = expanded(variable["query"], start, end, variables)
                asked.append((f"{board['title']}: choices of {name}", sql))
                with connection.cursor() as cursor:
                    cursor.execute(sql)
                    values = ["'" + row[0].replace("'", "''") + "'" for row in cursor]
                # All is what the variable says that it is, which Grafana does not quote.
                variables[name] = variable.get("allValue") or ",".join(values)
            elif variable["type"] == "query":
                variables[name] = "'rds','msk','s3','lambda','emr'"
        found = []
        for panel in panels(board):
            for target in panel.get("targets") or []:
                if "rawSql" in target:
                    found.append((f"{board['title']}: {panel['title']}", target["rawSql"]))
        asked += [(title, expanded(sql, start, end, variables)) for title, sql in found]
        for variable in listed:
            for option in variable.get("options") or []:
                if found and option["value"] != variables.get(variable["name"]):
                    title, sql = found[0]
                    chosen = {**variables, variable["name"]: option["value"]}
                    asked.append((f"{title} ({option['text']})", expanded(sql, start, end, chosen)))
    return asked


def seconds(connection, sql: str):
    with connection.cursor() as cursor:
        begun = time.monotonic()
        cursor.execute(sql)
        rows = cursor.fetchall()
        return time.monotonic() - begun, rows


def same(one: list, other: list) -> bool:
    """Whether two answers are the same, but for the last digits of what is no money."""
    def key(row):
        return tuple(
            f"{float(value):.6g}" if isinstance(value, (float, Decimal)) else str(value)
            for value in row
        )
    return sorted(map(key, one)) == sorted(map(key, other))


def main(address: str, first: str, last: str, folder: str) -> None:
    host, port = address.rsplit(":", 1)
    dsn = f"host={host} port={port} user=bench dbname=centime"
    server, postgres = start_postgres(Path(folder))
    try:
        fill(dsn, postgres)
        start, end = f"{first}T00:00:00Z", f"{last}T23:59:59.999Z"
        centime = psycopg2.connect(dsn)
        centime.autocommit = True
        asked = questions(centime, start, end)
        all_times = {"centime": [], "charges": [], "cut": []}
        print(f"| query | rows | centime ms | PostgreSQL ms | PostgreSQL on centime's cuts ms |")
        print("|---|---:|---:|---:|---:|")
        differ = []
        for title, sql in asked:
            told, answers = [], {}
            for who in all_times:
                connection = centime if who == "centime" else postgres
                if who != "centime":
                    with postgres.cursor() as cursor:
                        cursor.execute(f"set search_path = {who}")
                _, answers[who] = seconds(connection, sql)
                # PostgreSQL's many seconds are not waited for again and again.
                rounds = 1 if who == "charges" else ROUNDS
                times = [seconds(connection, sql)[0] for _ in range(rounds)]
                all_times[who] += times
                told.append(sorted(times)[len(times) // 2])
            if not same(answers["centime"], answers["charges"]):
                differ.append((title, answers["centime"][:3], answers["charges"][:3]))
            print(f"| {title} | {len(answers['centime']):,} | "
                  + " | ".join(f"{it * 1000:,.0f}" for it in told) + " |", flush=True)
        print()
        for who, times in all_times.items():
            times.sort()
            p95 = times[min(len(times) - 1, int(len(times) * 0.95))]
            print(f"{who}: median {times[len(times) // 2] * 1000:,.0f} ms, p95 {p95 * 1000:,.0f} ms, "
                  f"worst {times[-1] * 1000:,.0f} ms, {len(times)} answers")
        for title, one, other in differ:
            print(f"\nDIFFERENT: {title}\n  centime:    {one}\n  PostgreSQL: {other}")
    finally:
        # Without waiting for whoever is connected.
        server.send_signal(signal.SIGINT)
        server.wait()


main(*sys.argv[1:])
