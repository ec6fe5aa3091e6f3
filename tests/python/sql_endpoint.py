"""What the scripts about the SQL endpoint share: where it is, and how a fact is checked."""

import argparse
import datetime
import decimal
import sys

#: Facts that hold in every lake of the sandbox, as (SQL, what it answers).
FACTS = [
    ("SELECT 1 + 1", 2),
    ("SELECT 'é' || '😀'", "é😀"),
    ("SELECT NULL", None),
    ("SELECT true", True),
    ("SELECT DATE '2026-02-18'", datetime.date(2026, 2, 18)),
    (
        "SELECT TIMESTAMPTZ '2026-02-18T07:33:20.25Z'",
        datetime.datetime(2026, 2, 18, 7, 33, 20, 250000, tzinfo=datetime.timezone.utc),
    ),
    ("SELECT 12345.678::decimal(38,12)", decimal.Decimal("12345.678000000000")),
    ("SELECT -0.00000001::decimal(38,12)", decimal.Decimal("-0.000000010000")),
    ("SELECT ARRAY['a', NULL, 'c,d']", ["a", None, "c,d"]),
    ("SELECT ARRAY[1, 2]", [1, 2]),
    ("SELECT count(*) > 0 FROM cost", True),
    ("SELECT sum(billed_cost) > 0.1 FROM cost WHERE x_view = 'region'", True),
    ("SELECT count(*) FROM findings WHERE status = 'no such'", 0),
    (
        "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 10) "
        "SELECT count(*) FROM r",
        10,
    ),
    ("SELECT current_setting('server_version_num')::int / 100", 1500),
]


def arguments():
    """Where the endpoint is."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--user", default="ops")
    parser.add_argument("--password", default="")
    parser.add_argument("--open-port", type=int, default=0, help="an endpoint without passwords")
    return parser.parse_args()


class Checks:
    """Collects what does not hold."""

    def __init__(self):
        self.done = 0
        self.wrong = []

    def equal(self, what, found, expected):
        self.done += 1
        if found != expected or isinstance(found, bool) != isinstance(expected, bool):
            self.wrong.append(f"{what}\n  found    {found!r}\n  expected {expected!r}")

    def true(self, what, found):
        self.done += 1
        if not found:
            self.wrong.append(what)

    def end(self):
        """Exits with what is wrong."""
        if self.wrong:
            sys.exit("\n".join(self.wrong))
        print(f"{self.done} checks hold")
