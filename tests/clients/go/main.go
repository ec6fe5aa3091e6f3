// The two drivers that Grafana's PostgreSQL data source has used, as it uses them: lib/pq, and pgx
// with panels in the simple protocol.
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/lib/pq"
)

var done int
var wrong []string

func equal(what string, found, expected any) {
	done++
	if fmt.Sprint(found) != fmt.Sprint(expected) {
		wrong = append(wrong, fmt.Sprintf("%s: found %v, expected %v", what, found, expected))
	}
}

func must(what string, err error) {
	done++
	if err != nil {
		wrong = append(wrong, what+": "+err.Error())
	}
}

const slow = "SELECT count(*) FROM generate_series(1, 300000) a, generate_series(1, 300000) b WHERE a.value + b.value = 7"

// A panel of Grafana after its macros.
const panel = `SELECT floor(extract(epoch from charge_period_start::timestamptz)/86400)*86400 AS "time",
  service_name AS metric, sum(effective_cost) AS usd
FROM cost
WHERE charge_period_start::timestamptz BETWEEN '2020-01-10T05:00:00Z' AND '2099-02-10T05:00:00.123Z' AND x_view = 'account_service'
GROUP BY 1, 2 ORDER BY 1`

func withPq(dsn string) {
	db, err := sql.Open("postgres", dsn)
	must("pq opens", err)
	defer db.Close()
	must("pq pings", db.Ping())
	_, err = db.Exec(";")
	must("pq: a statement without content", err)
	var version float64
	must("pq: version", db.QueryRow("SELECT current_setting('server_version_num')::int/100 as version").Scan(&version))
	equal("pq: version", version, 1500)
	rows, err := db.Query(panel)
	must("pq: a panel", err)
	if err == nil {
		columns, _ := rows.ColumnTypes()
		names := []string{}
		for _, column := range columns {
			names = append(names, column.Name()+" "+column.DatabaseTypeName())
		}
		equal("pq: columns", names, "[time FLOAT8 metric TEXT usd NUMERIC]")
		count := 0
		for rows.Next() {
			count++
		}
		equal("pq: rows", count > 10, true)
		must("pq: to the end", rows.Err())
	}
	var count int
	must("pq: a parameter", db.QueryRow("SELECT count(*) FROM findings WHERE service = ANY($1)", pq.Array([]string{"msk", "rds"})).Scan(&count))
	var at time.Time
	must("pq: an instant", db.QueryRow("SELECT TIMESTAMPTZ '2026-02-18T07:33:20.25Z'").Scan(&at))
	equal("pq: an instant", at.UTC().Format(time.RFC3339Nano), "2026-02-18T07:33:20.25Z")
	_, err = db.Exec("DROP TABLE cost")
	var told *pq.Error
	equal("pq: refused", errors.As(err, &told) && told.Code == "25006", true)
	ctx, stop := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer stop()
	began := time.Now()
	_, err = db.QueryContext(ctx, slow)
	equal("pq: cancelled", err != nil && time.Since(began) < 5*time.Second, true)
}

func withPgx(dsn string) {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, dsn)
	must("pgx connects", err)
	if err != nil {
		return
	}
	defer conn.Close(ctx)
	must("pgx pings", conn.Ping(ctx))
	// Panels: the simple protocol, several statements in one text, text results.
	results, err := conn.PgConn().Exec(ctx, "SELECT 1 AS a; "+panel).ReadAll()
	must("pgx: a panel", err)
	if len(results) == 2 {
		equal("pgx: tags", results[0].CommandTag.String(), "SELECT 1")
		equal("pgx: select", results[1].CommandTag.Select(), true)
		equal("pgx: rows", len(results[1].Rows) > 10, true)
		equal("pgx: numeric", results[1].FieldDescriptions[2].DataTypeOID, 1700)
	} else {
		equal("pgx: results", len(results), 2)
	}
	// Builder: named statements, binary results.
	for run := 0; run < 3; run++ {
		rows, err := conn.Query(ctx, `SELECT table_schema, table_name FROM information_schema.tables
			WHERE table_schema = $1 AND table_type IN ('BASE TABLE', 'VIEW') ORDER BY table_name`, "public")
		must("pgx: tables", err)
		names, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (string, error) {
			var schema, name string
			err := row.Scan(&schema, &name)
			return name, err
		})
		must("pgx: tables", err)
		equal("pgx: there are tables", len(names) > 10, true)
	}
	var cost pgtype.Numeric
	var day time.Time
	var estimated bool
	var rows int64
	must("pgx: binary values", conn.QueryRow(ctx, "SELECT billed_cost, charge_period_start, x_estimated, 7::bigint FROM cost WHERE x_view = $1 AND billed_cost > $2 LIMIT 1", "region", 0.5).Scan(&cost, &day, &estimated, &rows))
	equal("pgx: money is exact", cost.Exp <= 0, true)
	var list []string
	must("pgx: a list", conn.QueryRow(ctx, "SELECT $1::text[]", []string{"a", "b,c"}).Scan(&list))
	equal("pgx: a list", list, "[a b,c]")
	limited, stop := context.WithTimeout(ctx, 500*time.Millisecond)
	defer stop()
	_, err = conn.Exec(limited, slow)
	equal("pgx: cancelled", err != nil, true)
	conn, err = pgx.Connect(ctx, dsn)
	must("pgx connects again", err)
	_, err = conn.Exec(ctx, "CREATE TABLE t (a int)")
	var told *pgconn.PgError
	equal("pgx: refused", errors.As(err, &told) && told.Code == "25006", true)
	// As database/sql, which is how Grafana holds its pool.
	db, err := sql.Open("pgx", dsn)
	must("pgx as database/sql", err)
	defer db.Close()
	must("pgx: ping", db.Ping())
	conn.Close(ctx)
}

func main() {
	port, user, password := os.Args[1], os.Args[2], os.Args[3]
	dsn := fmt.Sprintf("host=127.0.0.1 port=%s user=%s password='%s' dbname=centime sslmode=disable", port, user, password)
	withPq(dsn)
	withPgx(dsn)
	for _, problem := range wrong {
		fmt.Fprintln(os.Stderr, problem)
	}
	if len(wrong) > 0 {
		os.Exit(1)
	}
	fmt.Println(done, "checks hold")
}
