//! The SQL endpoint, asked by the programs that it is for: psql, the drivers of Python, Java and Go,
//! SQLAlchemy, DuckDB, ADBC, and what Grafana sends.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::daemon::{self, Running, free_port, log_of, signal};
use crate::support::{Installation, Process, Sandbox, counterparts, found, python, try_get, until};

const USER: &str = "ops";
const PASSWORD: &str = "correct horse, \u{e9}\u{df} staple";

/// A daemon with an endpoint.
struct Endpoint {
    centime: Installation,
    running: Running,
    web: u16,
    sql: u16,
    _sandbox: Sandbox,
}

impl Endpoint {
    fn start() -> Self {
        let sandbox = Sandbox::start(&["--days", "60"]);
        let (web, sql) = (free_port(), free_port());
        let centime = daemon::installation(&sandbox, web);
        std::fs::write(centime.path().join("password"), PASSWORD).unwrap();
        let path = centime.path().join("centime.yaml");
        let yaml = std::fs::read_to_string(&path).unwrap();
        let section = format!(
            "sql:\n  listen: 127.0.0.1:{sql}\n  users: [{{ name: {USER}, password_file: password }}]\n  \
             max_rows: 100000\n  statement_memory_mib: 64\n"
        );
        std::fs::write(&path, yaml + &section).unwrap();
        let running = daemon::start(&centime, web);
        Self { centime, running, web, sql, _sandbox: sandbox }
    }

    /// Adds settings to those of `sql`, and reloads.
    fn reload(&self, settings: &str) {
        let path = self.centime.path().join("centime.yaml");
        let yaml = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("{yaml}{settings}")).unwrap();
        let before = log_of(&self.centime).matches("reloaded").count();
        signal(&self.running.process, "-HUP");
        until("the reload", || {
            (log_of(&self.centime).matches("reloaded").count() > before).then_some(())
        });
    }

    fn psql(&self, program: &Path, target: &str, statement: &str) -> Output {
        Command::new(program)
            .args(["-X", "-v", "ON_ERROR_STOP=1", "-c", statement])
            .arg(format!(
                "host=127.0.0.1 port={} dbname=centime connect_timeout=20 {target}",
                self.sql
            ))
            .env("PGPASSWORD", PASSWORD)
            .env("PGSSLMODE", "prefer")
            .output()
            .unwrap()
    }

    /// The values of a metric's series, added up.
    fn metric(&self, series: &str) -> f64 {
        let metrics = try_get(&format!("http://127.0.0.1:{}/metrics", self.web)).unwrap();
        let lines = metrics.lines().filter(|line| line.starts_with(series));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }
}

fn psql(test: &str) -> Option<PathBuf> {
    let brought = counterparts().map(|folder| folder.join("psql/usr/bin/psql"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let installed = std::env::split_paths(&path).map(|folder| folder.join("psql"));
    let program = brought.into_iter().chain(installed).find(|path| path.exists());
    found(test, program, "on Debian, `apt install postgresql-client` brings it")
}

fn said(output: &Output) -> String {
    [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat()
}

/// A script of `tests/python` against the endpoint; what it says when it fails.
fn script(python: &Path, name: &str, endpoint: &Endpoint, more: &[&str]) -> Result<(), String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python").join(name);
    let port = endpoint.sql.to_string();
    let mut command = Command::new(python);
    command.arg(path).args(["--port", &port, "--user", USER, "--password", PASSWORD]).args(more);
    told(name, &mut command)
}

fn told(name: &str, command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{name}: {error}"))?;
    println!("{name}: {}", String::from_utf8_lossy(&output.stdout).trim());
    if output.status.success() { Ok(()) } else { Err(format!("{name}:\n{}", said(&output))) }
}

#[test]
fn every_client_reads_the_lake_and_none_changes_it() {
    let endpoint = Endpoint::start();
    let mut failed = Vec::new();
    if let Some(python) = python("Python's clients of the SQL endpoint") {
        for name in [
            "sql_psycopg2.py",
            "sql_psycopg3.py",
            "sql_asyncpg.py",
            "sql_pg8000.py",
            "sql_sqlalchemy.py",
            "sql_duckdb.py",
            "sql_adbc.py",
            "sql_grafana.py",
            "sql_attacks.py",
        ] {
            failed.extend(script(&python, name, &endpoint, &[]).err());
        }
        let lake = endpoint.centime.path().join("data/lake");
        let lake = ["--lake", lake.to_str().unwrap()];
        failed.extend(script(&python, "lake_readers.py", &endpoint, &lake).err());
        // Every statement is in the log with its user, and counted.
        let log = log_of(&endpoint.centime);
        let line = log.lines().find(|line| line.contains("DROP TABLE cost")).unwrap_or_default();
        for part in [
            "sql statement",
            "user=\"ops\"",
            "peer=127.0.0.1",
            "sqlstate=\"25006\"",
            "milliseconds=",
        ] {
            assert!(line.contains(part), "the audit log lacks {part}: {line}");
        }
        assert!(!log.contains(PASSWORD), "the password is in the log");
        assert!(!log.contains("panicked"), "{log}");
        for (series, least) in [
            ("centime_sql_statements_total{outcome=\"ok\"}", 300.0),
            ("centime_sql_statements_total{outcome=\"refused\"}", 40.0),
            ("centime_sql_statements_total{outcome=\"limited\"}", 10.0),
            ("centime_sql_statements_total{outcome=\"cancelled\"}", 4.0),
            ("centime_sql_logins_total{outcome=\"ok\"}", 10.0),
            ("centime_sql_logins_total{outcome=\"refused\"}", 4.0),
            ("centime_sql_rows_total", 10_000.0),
        ] {
            let counted = endpoint.metric(series);
            assert!(counted >= least, "{series} is {counted}");
        }
        assert_eq!(endpoint.metric("centime_sql_statements_total{outcome=\"internal\"}"), 0.0);
        let open = || (endpoint.metric("centime_sql_connections") == 0.0).then_some(());
        until("the connections to end", open);
    }
    let java = counterparts().map(|folder| folder.join("jdbc/usr/share/java"));
    let java = java.filter(|folder| folder.join("postgresql.jar").exists());
    if let Some(jars) = found("JDBC", java, "`make test` brings it where Java 17 is") {
        let class = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/SqlEndpoint.java");
        let mut command = Command::new("java");
        command.arg("-cp").arg(format!("{}/*", jars.display())).arg(class);
        command.args([&endpoint.sql.to_string(), USER, PASSWORD]);
        failed.extend(told("JDBC", &mut command).err());
    }
    let go = counterparts().map(|folder| folder.join("go-clients")).filter(|path| path.exists());
    if let Some(program) = found("pgx and lib/pq", go, "`make test` builds them where Go is") {
        let mut command = Command::new(program);
        command.args([&endpoint.sql.to_string(), USER, PASSWORD]);
        failed.extend(told("pgx and lib/pq", &mut command).err());
    }
    failed.extend(of_psql(&endpoint));
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}

/// psql's own questions, and what a person sees of them.
fn of_psql(endpoint: &Endpoint) -> Vec<String> {
    let Some(psql) = psql("psql") else { return Vec::new() };
    let mut failed = Vec::new();
    let mut asked = 0;
    for (statement, part) in [
        ("\\dt", " public | cost              | table | centime"),
        ("\\d", " public | findings          | table | centime"),
        ("\\d cost", " billed_cost         | numeric(38,12) |"),
        ("\\d+ findings", " opened_at         | timestamp with time zone |"),
        ("\\dt+ cost", "Always choose one `x_view`"),
        ("\\dv", " public | cost_days        | view | centime"),
        ("\\dn", " public | centime"),
        ("\\l", " centime | centime | UTF8"),
        ("\\du", " ops       |"),
        ("\\df", "(0 rows)"),
        ("\\dT", "(0 rows)"),
        ("\\dp cost", " public | cost | table |"),
        ("\\di", "Did not find any relations."),
        ("\\dx", "plpgsql"),
        ("\\dS pg_class", "Table \"pg_catalog.pg_class\""),
        ("SELECT version()", "PostgreSQL 15"),
        ("SELECT sum(billed_cost) FROM cost WHERE x_view = 'region'", "(1 row)"),
        ("SHOW server_version", "15.0"),
        ("COPY (SELECT 1 AS a, 'x,y' AS b) TO STDOUT WITH CSV HEADER", "a,b\n1,\"x,y\""),
        ("EXPLAIN SELECT * FROM cost", "logical_plan"),
        ("SELECT obj_description('cost'::regclass)", "FOCUS"),
        ("SELECT 'cost'::regclass::oid::regclass::text", "cost"),
        ("BEGIN; SELECT 1; COMMIT", "COMMIT"),
    ] {
        let output = endpoint.psql(&psql, &format!("user={USER}"), statement);
        asked += 1;
        // A table is as wide as its longest name.
        let squeezed = |text: &str| {
            text.lines()
                .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
                .collect::<Vec<_>>()
                .join("\n")
        };
        let there = squeezed(&said(&output)).contains(squeezed(part).trim());
        if !output.status.success() || !there {
            failed.push(format!("psql {statement} lacks {part:?}:\n{}", said(&output)));
        }
    }
    let output = endpoint.psql(&psql, &format!("user={USER}"), "SELECT * FROM kost");
    assert!(said(&output).contains("Did you mean \"cost\"?"), "{}", said(&output));
    println!("psql: {asked} statements");
    failed
}

#[test]
fn with_tls_nobody_is_answered_without_it_and_a_certificate_serves_as_a_password() {
    let Some(python) = python("certificates for the SQL endpoint") else { return };
    let Some(psql) = psql("psql with TLS") else { return };
    let endpoint = Endpoint::start();
    let folder = endpoint.centime.path();
    let path = |name: &str| folder.join(name).display().to_string();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/sql_certificates.py");
    let made = Command::new(python).arg(script).arg(folder).output().unwrap();
    assert!(made.status.success(), "{}", said(&made));
    let answer = |target: &str| {
        let output = endpoint.psql(&psql, target, "SELECT current_user, current_setting('ssl')");
        (output.status.success(), said(&output))
    };
    assert!(answer("user=ops sslmode=disable").1.contains(" ops "));
    // The same users, one who has a certificate instead, and a server's certificate, while it runs.
    endpoint.reload(
        "  tls: { certificate_file: server.pem, key_file: server-key.pem, client_ca_file: authority.pem }\n",
    );
    let yaml = std::fs::read_to_string(folder.join("centime.yaml")).unwrap();
    let users = "password_file: password }, { name: batch, certificate: true }]";
    std::fs::write(folder.join("centime.yaml"), yaml.replace("password_file: password }]", users))
        .unwrap();
    endpoint.reload("");
    let (ok, words) = answer("user=ops sslmode=disable");
    assert!(!ok && words.contains("through TLS only"), "{words}");
    let root = format!("sslmode=verify-full sslrootcert={}", path("authority.pem"));
    let (ok, words) = answer(&format!("user=ops {root}"));
    assert!(ok && words.contains(" ops ") && words.contains(" on"), "{words}");
    let certificate = |name: &str| {
        format!(
            "sslcert={} sslkey={}",
            path(&format!("{name}.pem")),
            path(&format!("{name}-key.pem"))
        )
    };
    let (ok, words) = answer(&format!("user=batch {root} {}", certificate("batch")));
    assert!(ok && words.contains(" batch "), "{words}");
    for (why, target) in [
        ("no certificate", format!("user=batch {root} sslcert=/nowhere sslkey=/nowhere")),
        ("another's certificate", format!("user=batch {root} {}", certificate("other"))),
        ("of another authority", format!("user=batch {root} {}", certificate("stranger"))),
        ("a certificate is no password", format!("user=nobody {root} {}", certificate("batch"))),
    ] {
        let (ok, words) = answer(&target);
        assert!(!ok, "{why}: {words}");
    }
    // A certificate that cannot be loaded leaves the old one in force.
    let before = std::fs::read_to_string(folder.join("centime.yaml")).unwrap();
    std::fs::write(folder.join("centime.yaml"), before.replace("server.pem", "nowhere.pem"))
        .unwrap();
    endpoint.reload("");
    let log = log_of(&endpoint.centime);
    assert!(log.contains("`sql.tls.certificate_file`") && log.contains("nowhere.pem"), "{log}");
    assert!(answer(&format!("user=ops {root}")).0);

    // At the start it ends the program: an endpoint that should encrypt must not run without.
    let Endpoint { running, centime, .. } = endpoint;
    drop(running);
    let mut command = centime.command(&["run"]);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut process = Process(command.spawn().unwrap());
    let status = until("the refusal", || process.0.try_wait().unwrap());
    assert!(!status.success());
}
