"""Engines that read the lake's files without centime: each table must be to them what it is to centime.

    --port, --user, --password    centime's SQL endpoint, which says what is right
    --lake FOLDER                 the same lake, as files
    --spark JARS                  Spark too, with these jars of Delta Lake, separated by commas

DuckDB by its own reader of Delta tables, Polars by delta-rs. Spark is not part of `make test` (pyspark
4.0.1 is 430 MB): install it, fetch `delta-spark_2.13` and `delta-storage` 4.0.0, and run this by hand.
"""

import argparse
import pathlib
import sys

# DuckDB's extensions are not there for the newest DuckDB: `make counterparts` puts all into a folder.
sys.path.insert(0, str(pathlib.Path(sys.prefix) / "duckdb-postgres"))

import duckdb
import polars
import psycopg
import sql_endpoint
from duckdb_extensions import import_extension

#: For each table: a column to group by, and one to add up.
TABLES = {
    "cost": ("x_view", "billed_cost"),
    "usage": ("service", "max"),
    "resources": ("service", None),
    "prices": ("region", "price"),
}

parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int, required=True)
parser.add_argument("--user", default="ops")
parser.add_argument("--password", default="")
parser.add_argument("--lake", type=pathlib.Path, required=True)
parser.add_argument("--spark")
at = parser.parse_args()
checks = sql_endpoint.Checks()

import_extension("delta")
duck = duckdb.connect()
duck.execute("LOAD delta")
spark = None
if at.spark:
    from pyspark.sql import SparkSession

    spark = (
        SparkSession.builder.master("local[2]").config("spark.jars", at.spark)
        .config("spark.ui.enabled", "false")
        .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
        .config("spark.sql.catalog.spark_catalog",
                "org.apache.spark.sql.delta.catalog.DeltaCatalog").getOrCreate()
    )


def plain(rows):
    """Rows by their group, with amounts rounded as far as doubles are exact."""
    return {row[0]: (row[1], None if row[2] is None else f"{float(row[2]):.9g}") for row in rows}


with psycopg.connect(
    host="127.0.0.1", port=at.port, user=at.user, password=at.password, dbname="centime"
) as centime:
    for table, (group, amount) in TABLES.items():
        added = f"sum({amount})" if amount else "NULL"
        sql = f"SELECT {group}, count(*), {added} FROM {{}} GROUP BY 1 ORDER BY 1"
        expected = plain(centime.execute(sql.format(table)).fetchall())
        checks.true(f"{table} has rows", bool(expected))
        folder = at.lake / table
        found = duck.execute(sql.format(f"delta_scan('{folder.as_uri()}')")).fetchall()
        checks.equal(f"DuckDB: {table}", plain(found), expected)
        summed = polars.col(amount).sum() if amount else polars.lit(None)
        frame = polars.scan_delta(str(folder)).group_by(group)
        frame = frame.agg(polars.len().alias("rows"), summed.alias("added")).collect()
        checks.equal(f"Polars: {table}", plain(frame.rows()), expected)
        if spark:
            spark.read.format("delta").load(str(folder)).createOrReplaceTempView(table)
            checks.equal(f"Spark: {table}", plain(spark.sql(sql.format(table)).collect()), expected)
        # An exact sum is the same to the last digit.
        if table == "cost":
            exact = "SELECT sum(billed_cost) FROM {} WHERE x_view = 'account_service'"
            expected = centime.execute(exact.format(table)).fetchone()[0]
            found = duck.execute(exact.format(f"delta_scan('{folder.as_uri()}')")).fetchone()[0]
            checks.equal("DuckDB: the bill", found, expected)
            frame = polars.scan_delta(str(folder)).filter(polars.col("x_view") == "account_service")
            found = frame.select(polars.col("billed_cost").sum()).collect().item()
            checks.equal("Polars: the bill", found, expected)
checks.end()
