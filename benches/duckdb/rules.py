"""Asks DuckDB what `benches/rules.rs` asks centime, and says how long it took.

Standard input is one JSON document:

    {"threads": 2, "runs": 3, "now": "…", "setup": ["create view …"], "wide": "select …",
     "rules": [{"id": "…", "condition": "…", "saving": "…"}]}

`wide` makes one row of each resource. With `"translate": true` the answer is only which rules DuckDB
understands; without, the seconds of each run and what each rule found, left unknown and would save.
"""

import json
import sys
import time

import duckdb

# What rules have and DuckDB does not, or not so: of what is unknown the greatest is unknown. Tags are looked at as text: no tag that is measured has a word of
# another one in it.
FUNCTIONS = [
    "create macro arrow_cast(moment, kind) as cast(moment as timestamptz)",
    "create macro has_tag(tags, word) as contains(lower(tags), lower(word))",
    "create macro days_since(moment) as"
    " date_diff('microsecond', moment, timestamptz '{now}') / 86400e6",
    *(
        f"create macro {name}(a, b) as"
        f" case when a is not null and b is not null then system.main.{name}(a, b) end"
        for name in ("greatest", "least")
    ),
]


def found(rule):
    """Of the ways to ask, the one that DuckDB answers quickest: in a CASE it looks at the next part of a
    condition only where those before it hold."""
    condition, saving = rule["condition"], rule["saving"]
    return [
        f"sum(case when {condition} then 1 else 0 end)",
        f"cast(coalesce(sum(case when {condition} then {saving} end), 0) as double)",
    ]


def judged(wide, rules):
    """All that centime says: what is found, what it saves, and what is fine. The rest is unknown."""
    sums = ["count(*)"]
    for rule in rules:
        sums += [*found(rule), f'sum(case when not ({rule["condition"]}) then 1 else 0 end)']
    return f'select {", ".join(sums)} from ({wide}) w'


def timed(lake, query, runs):
    seconds = []
    for _ in range(runs):
        begun = time.perf_counter()
        row = lake.execute(query).fetchone()
        seconds.append(time.perf_counter() - begun)
    return seconds, row


def main():
    asked = json.load(sys.stdin)
    lake = duckdb.connect()
    lake.execute(f'set threads = {asked["threads"]}')
    lake.execute("set timezone = 'UTC'")
    for function in FUNCTIONS:
        lake.execute(function.format(now=asked["now"]))
    for statement in asked["setup"]:
        lake.execute(statement)
    if asked.get("translate"):
        understood = []
        for rule in asked["rules"]:
            try:
                lake.execute("explain " + judged(asked["wide"], [rule])).fetchall()
                understood.append(rule["id"])
            except duckdb.Error as error:
                print(f'{rule["id"]}: {str(error).splitlines()[0]}', file=sys.stderr)
        json.dump({"version": duckdb.__version__, "understood": understood}, sys.stdout)
        return
    wide, rules, runs = asked["wide"], asked["rules"], asked["runs"]
    seconds, (rows, *sums) = timed(lake, judged(wide, rules), runs)
    answers = {}
    for number, rule in enumerate(rules):
        finding, saving, fine = sums[3 * number : 3 * number + 3]
        answers[rule["id"]] = finding, rows - finding - fine, saving
    # Without telling what is fine from what is unknown.
    columns = ", ".join(column for rule in rules for column in found(rule))
    found_seconds, _ = timed(lake, f"select {columns} from ({wide}) w", runs)
    # Not `ru_maxrss`, which begins with that of the program that started this one.
    with open("/proc/self/status", encoding="utf-8") as status:
        peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    json.dump(
        {
            "seconds": seconds,
            "found_seconds": found_seconds,
            "peak_mb": peak * 1024 / 1e6,
            "answers": answers,
        },
        sys.stdout,
    )


main()
