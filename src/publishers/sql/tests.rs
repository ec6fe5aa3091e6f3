//! The endpoint over a small lake in memory, asked by a client of a few lines. What real clients ask
//! is asked by them: `tests/end_to_end/sql.rs`.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Buf, Bytes};
use datafusion::arrow::array::{
    Date32Array, Decimal128Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use datafusion::arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use datafusion::catalog::MemorySchemaProvider;
use datafusion::datasource::MemTable;
use datafusion::prelude::SessionContext;
use postgres_types::Type;
use tokio::io::AsyncWriteExt;

use super::wire::put_text;
use super::*;

/// A table and a view of it; the table has as many rows as its version says.
#[derive(Debug, Default)]
struct Kitchen {
    version: AtomicU64,
    looks: AtomicU64,
}

fn kettles(rows: u64) -> Arc<MemTable> {
    let rows = i32::try_from(rows).unwrap();
    let schema = Arc::new(Schema::new(vec![
        Field::new("name", DataType::Utf8, false),
        Field::new("price", DataType::Decimal128(38, 12), true),
        Field::new("bought", DataType::Date32, true),
        Field::new(
            "boiled_at",
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            true,
        ),
    ]));
    let prices = (0..rows).map(|row| (row > 0).then_some(i128::from(row) * 1_500_000_000_000));
    let batch = RecordBatch::try_new(
        Arc::clone(&schema),
        vec![
            Arc::new(StringArray::from_iter_values((0..rows).map(|row| format!("kettle {row}")))),
            Arc::new(Decimal128Array::from_iter(prices).with_precision_and_scale(38, 12).unwrap()),
            Arc::new(Date32Array::from_iter_values((0..rows).map(|row| 20_502 + row))),
            Arc::new(
                TimestampMicrosecondArray::from_iter_values(
                    (0..rows).map(|row| 1_771_400_000_250_000 + i64::from(row)),
                )
                .with_timezone("UTC"),
            ),
        ],
    );
    Arc::new(MemTable::try_new(schema, vec![vec![batch.unwrap()]]).unwrap())
}

#[async_trait]
impl Lake for Kitchen {
    async fn look(
        &self,
        _runtime: Arc<RuntimeEnv>,
        as_of: Option<Timestamp>,
    ) -> Result<Look, LakeError> {
        self.looks.fetch_add(1, Ordering::Relaxed);
        let rows = match as_of {
            None => self.version.load(Ordering::Relaxed),
            Some(at) if at.as_second() < 0 => {
                let message = "the lake is not kept as far back".to_owned();
                return Err(LakeError { message, is_request: true });
            }
            Some(_) => 1,
        };
        let context = SessionContext::new();
        context.register_table("kettles", kettles(rows)).unwrap();
        let cheap = context.sql("SELECT name, price FROM kettles WHERE price < 3").await.unwrap();
        let schema = MemorySchemaProvider::new();
        schema.register_table("kettles".to_owned(), kettles(rows)).unwrap();
        schema.register_table("cheap_kettles".to_owned(), cheap.into_view()).unwrap();
        Ok(Look::of(Arc::new(schema)))
    }

    async fn versions(&self) -> Result<BTreeMap<String, u64>, LakeError> {
        Ok(BTreeMap::from([("kettles".to_owned(), self.version.load(Ordering::Relaxed))]))
    }

    fn documents(&self) -> Vec<Document> {
        vec![Document {
            name: "kettles".to_owned(),
            is_view: false,
            comment: "What boils.".to_owned(),
            columns: vec![("price".to_owned(), "What it cost.".to_owned())],
        }]
    }
}

struct House {
    lake: Arc<Kitchen>,
    address: SocketAddr,
    stop: CancellationToken,
}

impl House {
    async fn open(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config { listen: ([127, 0, 0, 1], 0).into(), ..Config::default() };
        change(&mut config);
        let lake = Arc::new(Kitchen::default());
        lake.version.store(3, Ordering::Relaxed);
        let endpoint = Endpoint::bind(&config, Arc::clone(&lake) as Arc<dyn Lake>).await.unwrap();
        let (address, stop) = (endpoint.address().unwrap(), CancellationToken::new());
        tokio::spawn(endpoint.serve(stop.clone()));
        Self { lake, address, stop }
    }

    async fn guest(&self) -> Guest {
        Guest::enter(self.address).await.unwrap()
    }
}

/// A client of a few lines.
struct Guest {
    stream: BufReader<TcpStream>,
    process: i32,
    key: i32,
}

type Rows = Vec<Vec<Option<String>>>;

fn message(kind: u8, body: impl FnOnce(&mut bytes::BytesMut)) -> Vec<u8> {
    let mut text = bytes::BytesMut::new();
    body(&mut text);
    let length = i32::try_from(text.len() + 4).unwrap().to_be_bytes();
    [&[kind][..], &length, &text].concat()
}

impl Guest {
    async fn enter(address: SocketAddr) -> Result<Self, String> {
        let mut stream = BufReader::new(TcpStream::connect(address).await.unwrap());
        let body = b"\0\x03\0\0user\0guest\0application_name\0a test\0\0";
        let length = i32::try_from(body.len() + 4).unwrap().to_be_bytes();
        stream.write_all(&[&length[..], body].concat()).await.unwrap();
        let mut guest = Self { stream, process: 0, key: 0 };
        loop {
            let (kind, mut body) = guest.read().await.ok_or("closed")?;
            match kind {
                b'K' => (guest.process, guest.key) = (body.get_i32(), body.get_i32()),
                b'E' => return Err(code(&body)),
                b'Z' => return Ok(guest),
                _ => {}
            }
        }
    }

    async fn read(&mut self) -> Option<(u8, Bytes)> {
        wire::read(&mut self.stream, 1 << 24).await.ok().flatten()
    }

    /// Rows until it is ready again, or the code of the error.
    async fn answer(&mut self) -> Result<Rows, String> {
        let (mut rows, mut error) = (Vec::new(), None);
        loop {
            let (kind, mut body) = self.read().await.ok_or("closed")?;
            match kind {
                b'D' => {
                    let cells = (0..body.get_u16()).map(|_| {
                        let length = usize::try_from(body.get_i32()).ok()?;
                        Some(String::from_utf8_lossy(&body.split_to(length)).into_owned())
                    });
                    rows.push(cells.collect());
                }
                b'E' => error = Some(code(&body)),
                b'Z' => return error.map_or(Ok(rows), Err),
                _ => {}
            }
        }
    }

    async fn send(&mut self, messages: &[Vec<u8>]) {
        self.stream.write_all(&messages.concat()).await.unwrap();
    }

    async fn ask(&mut self, sql: &str) -> Result<Rows, String> {
        self.send(&[message(b'Q', |body| put_text(body, sql))]).await;
        self.answer().await
    }

    /// One value.
    async fn one(&mut self, sql: &str) -> String {
        let rows = self.ask(sql).await.unwrap_or_else(|code| panic!("{sql}: {code}"));
        rows[0][0].clone().unwrap_or_default()
    }
}

impl Guest {
    /// Types of the columns, as the client is told them.
    async fn kinds(&mut self, sql: &str) -> Vec<u32> {
        self.send(&[message(b'Q', |body| put_text(body, sql))]).await;
        let mut kinds = Vec::new();
        while let Some((kind, body)) = self.read().await {
            if kind == b'Z' {
                break;
            }
            if kind == b'T' {
                let mut rest = &body[2..];
                while let Some(end) = rest.iter().position(|byte| *byte == 0) {
                    // After the name: table, number, type, length, modifier, format.
                    let told: [u8; 4] = rest[end + 7..end + 11].try_into().unwrap();
                    kinds.push(u32::from_be_bytes(told));
                    rest = &rest[end + 19..];
                }
            }
        }
        kinds
    }
}

fn code(body: &Bytes) -> String {
    let mut fields = body.split(|byte| *byte == 0);
    let code = fields.find(|field| field.first() == Some(&b'C')).unwrap_or_default();
    String::from_utf8_lossy(&code[1..]).into_owned()
}

#[tokio::test]
async fn a_statement_sees_the_newest_lake_and_looks_only_when_something_was_committed() {
    let house = House::open(|_| {}).await;
    let mut guest = house.guest().await;
    let count = "SELECT count(*) FROM kettles";
    assert_eq!(guest.one(count).await, "3");
    let looks = house.lake.looks.load(Ordering::Relaxed);
    assert_eq!(guest.one(count).await, "3");
    assert_eq!(guest.one("SELECT count(*) FROM pg_class WHERE relname = 'kettles'").await, "1");
    assert_eq!(house.lake.looks.load(Ordering::Relaxed), looks);
    house.lake.version.store(5, Ordering::Relaxed);
    assert_eq!(guest.one(count).await, "5");
    // A transaction that wants the same throughout gets it.
    guest.ask("BEGIN ISOLATION LEVEL REPEATABLE READ").await.unwrap();
    assert_eq!(guest.one(count).await, "5");
    house.lake.version.store(6, Ordering::Relaxed);
    assert_eq!(guest.one(count).await, "5");
    guest.ask("COMMIT").await.unwrap();
    assert_eq!(guest.one(count).await, "6");
    // The past.
    guest.ask("SET centime.as_of = '2026-02-01'").await.unwrap();
    assert_eq!(guest.one(count).await, "1");
    guest.ask("SET centime.as_of = '1950-01-01'").await.unwrap();
    assert_eq!(guest.ask(count).await, Err(error::INVALID_PARAMETER.to_owned()));
    guest.ask("RESET centime.as_of").await.unwrap();
    assert_eq!(guest.one(count).await, "6");
}

#[tokio::test]
async fn values_and_words_are_those_of_postgresql() {
    let house = House::open(|_| {}).await;
    let mut guest = house.guest().await;
    let rows = guest.ask("SELECT * FROM kettles ORDER BY price NULLS FIRST LIMIT 2").await.unwrap();
    let cells: Vec<Vec<&str>> = rows
        .iter()
        .map(|row| row.iter().map(|it| it.as_deref().unwrap_or("NULL")).collect())
        .collect();
    assert_eq!(
        cells,
        [
            ["kettle 0", "NULL", "2026-02-18", "2026-02-18 07:33:20.25+00"],
            ["kettle 1", "1.500000000000", "2026-02-19", "2026-02-18 07:33:20.250001+00"],
        ]
    );
    let kinds = guest
        .ask("SELECT table_name, table_type FROM information_schema.tables ORDER BY 1")
        .await
        .unwrap();
    let kinds: Vec<_> =
        kinds.into_iter().map(|row| row.into_iter().flatten().collect::<Vec<_>>()).collect();
    assert_eq!(kinds, [["cheap_kettles", "VIEW"], ["kettles", "BASE TABLE"]]);
    for (sql, expected) in [
        ("SELECT relkind FROM pg_class WHERE oid = 'cheap_kettles'::regclass", "v"),
        ("SELECT obj_description('kettles'::regclass)", "What boils."),
        ("SELECT col_description('kettles'::regclass::oid, 2)", "What it cost."),
        ("SELECT sum(price) * 0.1 FROM kettles", "0.4500000000000"),
        ("SELECT count(*) FROM cheap_kettles", "1"),
        ("SELECT current_user", "guest"),
        ("SELECT pg_typeof(price) FROM kettles LIMIT 1", "numeric"),
        ("SELECT pg_typeof(bought::timestamptz) FROM kettles LIMIT 1", "timestamp with time zone"),
        ("SHOW application_name", "a test"),
        ("SELECT current_setting('centime.none', true) IS NULL", "t"),
        (
            "SELECT data_type || ' ' || numeric_scale FROM information_schema.columns WHERE column_name = 'price' AND table_name = 'kettles'",
            "numeric 12",
        ),
        (
            "SELECT array(SELECT name FROM kettles ORDER BY name LIMIT 2)",
            "{\"kettle 0\",\"kettle 1\"}",
        ),
        (
            "SELECT name FROM kettles WHERE name LIKE 'kettle/_2' ESCAPE '/' OR name LIKE '%!_%' ESCAPE '!' UNION ALL SELECT 'none'",
            "none",
        ),
        ("SELECT '[{\"a\": \"b\"}]'::json->0->>'a'", "b"),
        ("SELECT to_char(bought, 'DD Mon YYYY') FROM kettles LIMIT 1", "18 Feb 2026"),
        ("VALUES (1), (2)", "1"),
        ("TABLE kettles", "kettle 0"),
    ] {
        assert_eq!(guest.one(sql).await, expected, "{sql}");
    }
}

#[tokio::test]
async fn a_column_has_the_type_that_its_values_have() {
    let house = House::open(|_| {}).await;
    let mut guest = house.guest().await;
    for (value, kind) in [
        ("price", Type::NUMERIC),
        ("sum(CASE WHEN price > 2 THEN 0 ELSE price END)", Type::NUMERIC),
        ("coalesce(sum(price), 0)", Type::NUMERIC),
        ("max(CASE WHEN price > 2 THEN 1 END)", Type::INT8),
        ("max(bought)", Type::DATE),
    ] {
        let sql = format!(
            "SELECT {value} FROM kettles {}",
            if value == "price" { "LIMIT 1" } else { "" }
        );
        assert_eq!(guest.kinds(&sql).await, [kind.oid()], "{value}");
    }
}

#[tokio::test]
async fn cursors_and_prepared_statements_have_a_spelling_in_sql() {
    let house = House::open(|_| {}).await;
    let mut guest = house.guest().await;
    let names = async |guest: &mut Guest, sql: &str| -> Vec<String> {
        let rows = guest.ask(sql).await.unwrap_or_else(|code| panic!("{sql}: {code}"));
        rows.into_iter().flatten().flatten().collect()
    };
    let query = "SELECT name FROM kettles ORDER BY name";
    let declare = format!("DECLARE \"My C\" NO SCROLL CURSOR FOR {query}");
    assert_eq!(guest.ask(&declare).await, Err("25P01".to_owned()));
    guest.ask("BEGIN").await.unwrap();
    guest.ask(&declare).await.unwrap();
    assert_eq!(guest.kinds("FETCH 1 FROM \"My C\"").await, [Type::TEXT.oid()]);
    assert_eq!(names(&mut guest, "FETCH FORWARD 1 FROM \"My C\"").await, ["kettle 1"]);
    assert_eq!(names(&mut guest, "FETCH ALL FROM \"My C\"").await, ["kettle 2"]);
    assert_eq!(names(&mut guest, "FETCH NEXT FROM \"My C\"").await, [""; 0]);
    guest.ask("COMMIT").await.unwrap();
    // It ended with its transaction; what is held did not.
    assert_eq!(guest.ask("FETCH 1 FROM \"My C\"").await, Err("34000".to_owned()));
    guest.ask(&format!("DECLARE held CURSOR WITH HOLD FOR {query}")).await.unwrap();
    assert_eq!(
        guest.ask("DECLARE held CURSOR WITH HOLD FOR SELECT 1").await,
        Err("42P03".to_owned())
    );
    guest.ask("BEGIN; COMMIT").await.unwrap();
    assert_eq!(names(&mut guest, "FETCH 2 FROM HELD").await, ["kettle 0", "kettle 1"]);
    guest.ask("CLOSE held").await.unwrap();
    assert_eq!(guest.ask("CLOSE held").await, Err("34000".to_owned()));

    guest.ask("PREPARE dear (numeric) AS SELECT name FROM kettles WHERE price > $1").await.unwrap();
    assert_eq!(names(&mut guest, "EXECUTE dear (2.5)").await, ["kettle 2"]);
    assert_eq!(names(&mut guest, "EXECUTE dear (NULL)").await, [""; 0]);
    assert_eq!(guest.ask("EXECUTE dear").await, Err(error::SYNTAX.to_owned()));
    assert_eq!(guest.ask("EXECUTE dear ('x')").await, Err("22P02".to_owned()));
    assert_eq!(guest.ask("EXECUTE none").await, Err("26000".to_owned()));
    guest.ask("DEALLOCATE dear").await.unwrap();
    assert_eq!(guest.ask("EXECUTE dear (1)").await, Err("26000".to_owned()));
}

#[tokio::test]
async fn errors_have_their_codes_and_a_failed_transaction_takes_only_its_end() {
    let house = House::open(|config| config.max_rows = 100).await;
    let mut guest = house.guest().await;
    for (sql, code) in [
        ("SELECT * FROM ketles", error::UNKNOWN_TABLE),
        ("SELECT prise FROM kettles", error::UNKNOWN_COLUMN),
        ("SELECT name FROM kettles k, kettles l", error::AMBIGUOUS_COLUMN),
        ("SELECT 1 +", error::SYNTAX),
        ("SELECT no_such_function(1)", error::UNKNOWN_FUNCTION),
        ("SELECT name, sum(price) FROM kettles", error::GROUPING),
        ("SELECT 1 / 0", error::DIVISION_BY_ZERO),
        ("SELECT 'x'::int", error::INVALID_TEXT),
        ("SELECT 'x'::regclass", error::UNKNOWN_TABLE),
        ("SHOW no_such_setting", error::UNKNOWN_SETTING),
        ("SELECT current_setting('no_such')", error::UNKNOWN_SETTING),
        ("DROP TABLE kettles", error::READ_ONLY),
        ("SELECT * FROM generate_series(1, 101)", error::LIMIT),
        ("SAVEPOINT a", "25P01"),
    ] {
        assert_eq!(guest.ask(sql).await, Err(code.to_owned()), "{sql}");
    }
    assert_eq!(guest.ask("SELECT * FROM generate_series(1, 100)").await.unwrap().len(), 100);
    guest.ask("BEGIN; SELECT 1").await.unwrap();
    assert!(guest.ask("SELECT prise FROM kettles").await.is_err());
    assert_eq!(guest.ask("SELECT 1").await, Err(error::FAILED_TRANSACTION.to_owned()));
    guest.ask("ROLLBACK").await.unwrap();
    assert_eq!(guest.one("SELECT 1").await, "1");
}

#[tokio::test]
async fn a_portal_is_answered_in_pieces_and_after_an_error_all_waits_for_sync() {
    let house = House::open(|_| {}).await;
    let mut guest = house.guest().await;
    let parse = |sql: &str| {
        message(b'P', |body| {
            put_text(body, "");
            put_text(body, sql);
            body.put_u16(0);
        })
    };
    let bind = |value: &str| {
        message(b'B', |body| {
            put_text(body, "");
            put_text(body, "");
            body.put_u16(0);
            body.put_u16(1);
            body.put_i32(i32::try_from(value.len()).unwrap());
            body.put_slice(value.as_bytes());
            body.put_u16(0);
        })
    };
    let execute = |rows| {
        message(b'E', |body| {
            put_text(body, "");
            body.put_i32(rows);
        })
    };
    let sync = message(b'S', |_| {});
    let sql = "SELECT name FROM kettles WHERE bought >= $1 ORDER BY 1";
    guest.send(&[parse(sql), bind("2026-02-19"), execute(1), execute(0), sync.clone()]).await;
    let mut kinds = Vec::new();
    loop {
        let (kind, _) = guest.read().await.unwrap();
        kinds.push(char::from(kind));
        if kind == b'Z' {
            break;
        }
    }
    // Parsed, bound, a row, more to come, a row, the end.
    assert_eq!(kinds.iter().collect::<String>(), "12DsDCZ");
    guest.send(&[parse("SELECT prise FROM kettles WHERE 1 = $1"), bind("1"), execute(0)]).await;
    guest.send(&[parse(sql), bind("2026-02-19"), execute(0), sync.clone()]).await;
    assert_eq!(guest.answer().await, Err(error::UNKNOWN_COLUMN.to_owned()));
    guest.send(&[parse(sql), bind("2026-02-19"), execute(0), sync]).await;
    assert_eq!(guest.answer().await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_statement_ends_when_it_is_cancelled_takes_too_long_or_centime_stops() {
    const SLOW: &str = "SELECT count(*) FROM generate_series(1, 100000) a, \
                        generate_series(1, 1000000) b WHERE a.value * b.value < 0";
    let house = House::open(|config| {
        config.statement_timeout = crate::model::time::Span::seconds(1);
        config.max_connections = 2;
    })
    .await;
    let mut guest = house.guest().await;
    assert_eq!(guest.ask(SLOW).await, Err(error::CANCELLED.to_owned()));
    let (process, key) = (guest.process, guest.key);
    let address = house.address;
    let cancel = move |key: i32| async move {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        let parts = [16, wire::CANCEL, process, key].map(i32::to_be_bytes);
        stream.write_all(&parts.concat()).await.unwrap();
    };
    guest.ask("SET statement_timeout = 900").await.unwrap();
    let (answer, ()) = tokio::join!(guest.ask(SLOW), cancel(key));
    assert_eq!(answer, Err(error::CANCELLED.to_owned()));
    assert_eq!(guest.one("SELECT 1").await, "1");

    // There is no third place, and one that leaves makes one.
    let second = house.guest().await;
    assert_eq!(Guest::enter(address).await.err(), Some(error::CONNECTIONS.to_owned()));
    drop(second);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let mut third = house.guest().await;
    assert_eq!(third.one("SELECT 2").await, "2");

    house.stop.cancel();
    let (kind, body) = guest.read().await.unwrap();
    assert_eq!((kind, code(&body).as_str()), (b'E', error::SHUTDOWN));
    assert!(guest.read().await.is_none());
}
