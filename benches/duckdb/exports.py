"""The charges of an export by day and resource, put together by DuckDB: seconds and peak memory as JSON.

usage: exports.py FOLDER OUTPUT
"""

import json
import resource
import sys
import time

import duckdb

KEYS = """
    bill_payer_account_id, cast(line_item_usage_start_date as date) as day, line_item_usage_account_id,
    line_item_line_item_type, line_item_product_code, line_item_usage_type, line_item_operation,
    line_item_resource_id, line_item_currency_code, pricing_unit, product_region_code, bill_invoice_id,
    cast(resource_tags as varchar) as tags
"""


def main(folder: str, output: str) -> None:
    connection = duckdb.connect()
    connection.execute("set threads to 2")
    begun = time.monotonic()
    connection.execute(f"""
        copy (
            select {KEYS},
                sum(cast(line_item_unblended_cost as decimal(38, 12))) as billed,
                sum(cast(pricing_public_on_demand_cost as decimal(38, 12))) as list,
                sum(cast(line_item_usage_amount as decimal(38, 12))) as quantity
            from '{folder}/data/*/*.parquet'
            group by all order by all
        ) to '{output}' (format parquet, compression zstd)""")
    seconds = time.monotonic() - begun
    rows, billed = connection.execute(f"select count(*), sum(billed) from '{output}'").fetchone()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "peak_mb": peak, "rows": rows, "billed": str(billed)}))


main(sys.argv[1], sys.argv[2])
