//! What may run: questions, and the small talk of clients. All else is refused by name, whether or
//! not the engine would have understood it.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    CopyLegacyCsvOption, CopyLegacyOption, CopyOption, CopySource, CopyTarget, Query, Select,
    SetExpr, Statement, Visit, Visitor,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use super::cursor;
use super::error::{self, Error};

/// Longest text of statements that are sent together.
const MOST_BYTES: usize = 1024 * 1024;
/// Operators and brackets that one statement may have. Each makes the tree of a statement deeper,
/// and a tree that is too deep for the stack would end the whole program.
const MOST_OPERATORS: usize = 3_000;
/// Brackets inside brackets.
const MOST_NESTED: usize = 60;

/// One statement, by what is to be done with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    /// Asks the engine: `SELECT`, `WITH`, `VALUES`, `TABLE`, `EXPLAIN`.
    Query(String),
    /// `COPY … TO STDOUT`: the rows of a query in a form of their own.
    Copy {
        query: String,
        form: Form,
    },
    Show(String),
    /// `None`: back to the default.
    Set {
        name: String,
        value: Option<String>,
        local: bool,
    },
    ResetAll,
    Begin {
        repeatable: bool,
    },
    Commit,
    Rollback,
    /// `SAVEPOINT`, `RELEASE`, `ROLLBACK TO`.
    Savepoint {
        tag: &'static str,
        back: bool,
    },
    /// `None`: all.
    Deallocate(Option<String>),
    /// A query that is answered in pieces, by `FETCH`.
    Declare {
        name: String,
        query: String,
        /// It outlives its transaction.
        hold: bool,
        binary: bool,
    },
    /// 0: all rows that are left.
    Fetch {
        name: String,
        most: u32,
    },
    /// `None`: all.
    CloseCursor(Option<String>),
    Prepare {
        name: String,
        /// Of the parameters, where they are named.
        types: Vec<String>,
        query: String,
    },
    Execute {
        name: String,
        /// As text; `None` is null.
        arguments: Vec<Option<String>>,
    },
    Discard(&'static str),
    /// Understood, and without effect here: `UNLISTEN`, `SET TRANSACTION`.
    Nothing(&'static str),
}

/// How `COPY` writes rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    Csv { header: bool },
    Binary,
}

/// The commands of a text, each a statement.
pub(super) fn commands(sql: &str) -> Result<Vec<Command>, Error> {
    if sql.len() > MOST_BYTES {
        return Err(Error::new(error::COMPLEX, "the statement is longer than a mebibyte"));
    }
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, sql)
        .tokenize_with_location()
        .map_err(|error| Error::new(error::SYNTAX, format!("syntax error: {error}")))?;
    let starts = line_starts(sql);
    let place = |token: &TokenWithSpan| {
        let at = token.span.start;
        let line = usize::try_from(at.line).unwrap_or(1).saturating_sub(1);
        let start = starts.get(line).copied().unwrap_or(sql.len());
        let column = usize::try_from(at.column).unwrap_or(1).saturating_sub(1);
        let rest = sql.get(start..).unwrap_or_default();
        start + rest.char_indices().nth(column).map_or(rest.len(), |(offset, _)| offset)
    };
    let mut commands = Vec::new();
    let (mut words, mut from) = (Vec::new(), None);
    for token in &tokens {
        match &token.token {
            Token::Whitespace(_) | Token::EOF => {}
            Token::SemiColon => {
                if let Some(from) = from.take() {
                    let text = sql.get(from..place(token)).unwrap_or_default();
                    commands.push(command(text.trim(), &words)?);
                    words.clear();
                }
            }
            other => {
                from.get_or_insert_with(|| place(token));
                words.push(other);
            }
        }
    }
    if let Some(from) = from {
        commands.push(command(sql.get(from..).unwrap_or_default().trim(), &words)?);
    }
    Ok(commands)
}

fn line_starts(sql: &str) -> Vec<usize> {
    std::iter::once(0).chain(sql.match_indices('\n').map(|(at, _)| at + 1)).collect()
}

/// A word in capitals; nothing for what is none.
fn word(token: Option<&&Token>) -> String {
    match token {
        Some(Token::Word(word)) if word.quote_style.is_none() => word.value.to_ascii_uppercase(),
        _ => String::new(),
    }
}

fn command(text: &str, tokens: &[&Token]) -> Result<Command, Error> {
    let at = |index: usize| word(tokens.get(index));
    let first = at(0);
    Ok(match first.as_str() {
        "" if matches!(tokens.first(), Some(Token::LParen)) => query(text, tokens)?,
        "SELECT" | "WITH" | "VALUES" | "EXPLAIN" => query(text, tokens)?,
        "TABLE" => {
            let rest = text.get("table".len()..).unwrap_or_default();
            query(&format!("SELECT * FROM {rest}"), tokens)?
        }
        "SHOW" => Command::Show(setting_name(tokens.get(1..).unwrap_or_default())?),
        "SET" => set(tokens)?,
        "RESET" if at(1) == "ALL" => Command::ResetAll,
        "RESET" => Command::Set {
            name: setting_name(tokens.get(1..).unwrap_or_default())?,
            value: None,
            local: false,
        },
        "BEGIN" | "START" => {
            let words: Vec<String> = (1..tokens.len()).map(at).collect();
            let repeatable = words.iter().any(|it| it == "REPEATABLE" || it == "SERIALIZABLE");
            Command::Begin { repeatable }
        }
        "COMMIT" | "END" if at(1) != "PREPARED" => Command::Commit,
        "ROLLBACK" | "ABORT" if at(1) != "PREPARED" => {
            let to = (1..tokens.len()).any(|index| at(index) == "TO");
            if to { Command::Savepoint { tag: "ROLLBACK", back: true } } else { Command::Rollback }
        }
        "SAVEPOINT" => Command::Savepoint { tag: "SAVEPOINT", back: false },
        "RELEASE" => Command::Savepoint { tag: "RELEASE", back: false },
        "DEALLOCATE" => {
            let name = if at(1) == "PREPARE" { tokens.get(2) } else { tokens.get(1) };
            match name {
                Some(Token::Word(word)) if word.value.eq_ignore_ascii_case("all") => {
                    Command::Deallocate(None)
                }
                Some(Token::Word(word)) => Command::Deallocate(Some(word.value.clone())),
                _ => return Err(Error::new(error::SYNTAX, "DEALLOCATE needs a name or ALL")),
            }
        }
        "DISCARD" => Command::Discard(match at(1).as_str() {
            "ALL" => "DISCARD ALL",
            "PLANS" => "DISCARD PLANS",
            "SEQUENCES" => "DISCARD SEQUENCES",
            "TEMP" | "TEMPORARY" => "DISCARD TEMP",
            _ => return Err(Error::new(error::SYNTAX, "DISCARD needs ALL, PLANS or TEMP")),
        }),
        "UNLISTEN" => Command::Nothing("UNLISTEN"),
        "DECLARE" | "FETCH" | "CLOSE" | "EXECUTE" => {
            check_depth(tokens)?;
            cursor::command(text)?
        }
        // `PREPARE TRANSACTION` is of another kind.
        "PREPARE" if at(1) != "TRANSACTION" => {
            check_depth(tokens)?;
            cursor::command(text)?
        }
        "COPY" => copy(text, tokens)?,
        _ => return Err(refused(&first, &at(1), text)),
    })
}

/// What a client is told of a statement that never runs here.
fn refused(first: &str, second: &str, text: &str) -> Error {
    /// They write, or prepare to.
    const WRITES: [&str; 30] = [
        "INSERT",
        "UPDATE",
        "DELETE",
        "MERGE",
        "TRUNCATE",
        "CREATE",
        "ALTER",
        "DROP",
        "GRANT",
        "REVOKE",
        "COMMENT",
        "VACUUM",
        "ANALYZE",
        "ANALYSE",
        "REINDEX",
        "CLUSTER",
        "REFRESH",
        "CALL",
        "DO",
        "IMPORT",
        "SECURITY",
        "NOTIFY",
        "LOCK",
        "REASSIGN",
        "CHECKPOINT",
        "LOAD",
        "EXPORT",
        "REPLACE",
        "UPSERT",
        "INSTALL",
    ];
    /// PostgreSQL knows them, and this endpoint does not.
    const ELSE: [&str; 9] =
        ["MOVE", "PREPARE", "LISTEN", "COMMIT", "ROLLBACK", "ATTACH", "DETACH", "PRAGMA", "USE"];
    if WRITES.contains(&first) {
        let name = match first {
            "CREATE" | "ALTER" | "DROP" if !second.is_empty() => format!("{first} {second}"),
            _ => first.to_owned(),
        };
        return Error::new(
            error::READ_ONLY,
            format!("cannot execute {name} in a read-only transaction"),
        )
        .hint("This endpoint shows centime's lake; nothing can be changed through it.");
    }
    if ELSE.contains(&first) {
        let error = Error::new(error::UNSUPPORTED, format!("{first} is not supported"));
        return error;
    }
    let near: String =
        text.split_whitespace().next().unwrap_or_default().chars().take(40).collect();
    Error::new(error::SYNTAX, format!("syntax error at or near \"{near}\""))
}

fn query(text: &str, tokens: &[&Token]) -> Result<Command, Error> {
    check_depth(tokens)?;
    Ok(Command::Query(text.to_owned()))
}

/// Refuses what is too deep for the stack.
fn check_depth(tokens: &[&Token]) -> Result<(), Error> {
    let complex = || {
        Error::new(error::COMPLEX, "the statement is too deep: it has too many operators")
            .hint("Write a long list of values as `x IN (…)`.")
    };
    let (mut operators, mut depth) = (0, 0_usize);
    for token in tokens {
        match token {
            Token::LParen | Token::LBracket => {
                depth += 1;
                if depth > MOST_NESTED {
                    return Err(complex());
                }
                operators += 1;
            }
            Token::RParen | Token::RBracket => depth = depth.saturating_sub(1),
            Token::Comma | Token::Period | Token::Number(..) | Token::SingleQuotedString(_) => {}
            Token::Word(word) => {
                let value = &word.value;
                let is_operator = word.quote_style.is_none()
                    && ["AND", "OR", "NOT", "UNION", "EXCEPT", "INTERSECT", "JOIN", "CASE", "IS"]
                        .iter()
                        .any(|operator| value.eq_ignore_ascii_case(operator));
                operators += usize::from(is_operator);
            }
            _ => operators += 1,
        }
    }
    if operators > MOST_OPERATORS {
        return Err(complex());
    }
    Ok(())
}

/// `TIME ZONE`, `TRANSACTION ISOLATION LEVEL`, `centime.as_of`, `"DateStyle"`.
fn setting_name(tokens: &[&Token]) -> Result<String, Error> {
    let mut name = String::new();
    for token in tokens {
        match token {
            Token::Word(word) => {
                if !name.is_empty() && !name.ends_with('.') {
                    name.push(' ');
                }
                name.push_str(&word.value.to_ascii_lowercase());
            }
            Token::Period => name.push('.'),
            _ => return Err(Error::new(error::SYNTAX, "a setting has a name of words")),
        }
    }
    Ok(match name.as_str() {
        "" => return Err(Error::new(error::SYNTAX, "a setting is missing")),
        "time zone" => "timezone".to_owned(),
        "transaction isolation level" => "transaction_isolation".to_owned(),
        "session authorization" => "session_authorization".to_owned(),
        _ => name,
    })
}

/// `SET [SESSION | LOCAL] name {= | TO} value` and its relatives.
fn set(tokens: &[&Token]) -> Result<Command, Error> {
    let mut rest = tokens.get(1..).unwrap_or_default();
    let mut local = false;
    if word(rest.first()) == "LOCAL" {
        local = true;
        rest = rest.get(1..).unwrap_or_default();
    } else if word(rest.first()) == "SESSION"
        && !["CHARACTERISTICS", "AUTHORIZATION"].contains(&word(rest.get(1)).as_str())
    {
        rest = rest.get(1..).unwrap_or_default();
    }
    match (word(rest.first()).as_str(), word(rest.get(1)).as_str()) {
        ("TRANSACTION", _) | ("SESSION", "CHARACTERISTICS") | ("CONSTRAINTS", _) => {
            return Ok(Command::Nothing("SET"));
        }
        ("ROLE", "NONE") => return Ok(Command::Nothing("SET")),
        ("ROLE", _) | ("SESSION", "AUTHORIZATION") => {
            return Err(Error::new(error::FORBIDDEN, "permission denied to become another user"));
        }
        ("TIME", "ZONE") => {
            let value = value(rest.get(2..).unwrap_or_default());
            return Ok(Command::Set { name: "timezone".to_owned(), value, local });
        }
        ("NAMES", _) => {
            let value = value(rest.get(1..).unwrap_or_default());
            return Ok(Command::Set { name: "client_encoding".to_owned(), value, local });
        }
        _ => {}
    }
    let equals = rest.iter().position(|token| {
        matches!(token, Token::Eq | Token::Assignment) || word(Some(token)) == "TO"
    });
    let Some(equals) = equals else {
        return Err(Error::new(error::SYNTAX, "SET needs a value: `SET name = value`"));
    };
    let name = setting_name(rest.get(..equals).unwrap_or_default())?;
    Ok(Command::Set { name, value: value(rest.get(equals + 1..).unwrap_or_default()), local })
}

/// `None` for `DEFAULT` and nothing.
fn value(tokens: &[&Token]) -> Option<String> {
    if tokens.is_empty() || word(tokens.first()) == "DEFAULT" && tokens.len() == 1 {
        return None;
    }
    let mut text = String::new();
    for token in tokens {
        match token {
            Token::SingleQuotedString(value) | Token::EscapedStringLiteral(value) => {
                text.push_str(value);
            }
            Token::Word(word) => text.push_str(&word.value),
            Token::Comma => text.push_str(", "),
            other => text.push_str(&other.to_string()),
        }
    }
    Some(text)
}

/// Only to the client, never to a file or a program, and never from anywhere.
fn copy(text: &str, tokens: &[&Token]) -> Result<Command, Error> {
    // `FROM` outside of brackets: rows would come in.
    let mut depth = 0_i32;
    for token in tokens {
        match token {
            Token::LParen => depth += 1,
            Token::RParen => depth -= 1,
            _ if depth == 0 && word(Some(token)) == "FROM" => {
                return Err(Error::new(
                    error::READ_ONLY,
                    "cannot execute COPY FROM in a read-only transaction",
                ));
            }
            _ => {}
        }
    }
    query(text, tokens)?;
    let syntax = |error: String| Error::new(error::SYNTAX, error);
    let parsed = Parser::parse_sql(&PostgreSqlDialect {}, text);
    let statement = parsed.map_err(|error| syntax(error.to_string()))?.pop();
    let Some(Statement::Copy { source, to, target, options, legacy_options, .. }) = statement
    else {
        return Err(syntax("COPY cannot be read".to_owned()));
    };
    if !to || target != CopyTarget::Stdout {
        return Err(Error::new(
            error::FORBIDDEN,
            "permission denied to COPY to a file or a program",
        )
        .hint("COPY … TO STDOUT sends the rows to the client."));
    }
    let mut form = Form::Text;
    let mut header = false;
    let unsupported = |what: String| {
        Error::new(error::UNSUPPORTED, format!("COPY's option {what} is not supported"))
    };
    for option in options {
        match option {
            CopyOption::Format(name) => {
                form = match name.value.to_ascii_lowercase().as_str() {
                    "text" => Form::Text,
                    "csv" => Form::Csv { header: false },
                    "binary" => Form::Binary,
                    other => return Err(unsupported(format!("FORMAT {other}"))),
                };
            }
            CopyOption::Header(on) => header = on,
            CopyOption::Encoding(name) if name.to_ascii_lowercase().starts_with("utf") => {}
            other => return Err(unsupported(other.to_string())),
        }
    }
    for option in legacy_options {
        match option {
            CopyLegacyOption::Binary => form = Form::Binary,
            CopyLegacyOption::Csv(options) => {
                form = Form::Csv { header: false };
                for option in options {
                    match option {
                        CopyLegacyCsvOption::Header => header = true,
                        other => return Err(unsupported(other.to_string())),
                    }
                }
            }
            other => return Err(unsupported(other.to_string())),
        }
    }
    if let Form::Csv { header: shown } = &mut form {
        *shown = header;
    }
    let query = match source {
        CopySource::Query(query) => query.to_string(),
        CopySource::Table { table_name, columns } => {
            let columns: Vec<String> = columns.iter().map(ToString::to_string).collect();
            let columns = if columns.is_empty() { "*".to_owned() } else { columns.join(", ") };
            format!("SELECT {columns} FROM {table_name}")
        }
    };
    Ok(Command::Copy { query, form })
}

/// Looks through a statement that the parser took for a query: nothing in it may write or lock.
pub(super) fn check(statement: &Statement) -> Result<(), Error> {
    struct Writes;
    impl Visitor for Writes {
        type Break = &'static str;

        fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Self::Break> {
            if !query.locks.is_empty() {
                return ControlFlow::Break("SELECT FOR UPDATE");
            }
            match query.body.as_ref() {
                SetExpr::Insert(_) => ControlFlow::Break("INSERT"),
                SetExpr::Update(_) => ControlFlow::Break("UPDATE"),
                SetExpr::Delete(_) => ControlFlow::Break("DELETE"),
                SetExpr::Merge(_) => ControlFlow::Break("MERGE"),
                _ => ControlFlow::Continue(()),
            }
        }

        fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Self::Break> {
            match select.into {
                Some(_) => ControlFlow::Break("SELECT INTO"),
                None => ControlFlow::Continue(()),
            }
        }
    }
    let inner = match statement {
        Statement::Explain { statement, .. } => statement.as_ref(),
        other => other,
    };
    let written = match inner {
        Statement::Query(_) => match inner.visit(&mut Writes) {
            ControlFlow::Break(what) => Some(what),
            ControlFlow::Continue(()) => None,
        },
        _ => Some("anything but a query"),
    };
    match written {
        None => Ok(()),
        Some(what) => Err(Error::new(
            error::READ_ONLY,
            format!("cannot execute {what} in a read-only transaction"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(sql: &str) -> Result<Command, &'static str> {
        let commands = commands(sql).map_err(|error| error.code)?;
        assert_eq!(commands.len(), 1, "{sql}");
        Ok(commands.into_iter().next().unwrap())
    }

    fn set(name: &str, value: Option<&str>) -> Command {
        Command::Set { name: name.to_owned(), value: value.map(str::to_owned), local: false }
    }

    #[test]
    fn a_text_is_parted_where_statements_end() {
        let sql = "select ';' as \"a;b\"; -- no; nothing\n/* ; */ show x;;\n select 'é;', 2 ;";
        let commands = commands(sql).unwrap();
        assert_eq!(
            commands,
            [
                Command::Query("select ';' as \"a;b\"".to_owned()),
                Command::Show("x".to_owned()),
                Command::Query("select 'é;', 2".to_owned()),
            ]
        );
        for empty in ["", ";", " ;; ", "-- ping", "/* nothing */"] {
            assert!(super::commands(empty).unwrap().is_empty(), "{empty}");
        }
    }

    #[test]
    fn the_small_talk_of_clients_is_understood() {
        for (sql, expected) in [
            ("SET extra_float_digits = 3", set("extra_float_digits", Some("3"))),
            ("set session datestyle to 'ISO, MDY'", set("datestyle", Some("ISO, MDY"))),
            ("SET search_path TO a, \"B\"", set("search_path", Some("a, B"))),
            ("SET TIME ZONE 'UTC'", set("timezone", Some("UTC"))),
            ("SET centime.as_of = '2026-02-01'", set("centime.as_of", Some("2026-02-01"))),
            ("SET x TO DEFAULT", set("x", None)),
            ("RESET centime.as_of", set("centime.as_of", None)),
            ("RESET ALL", Command::ResetAll),
            ("SHOW TRANSACTION ISOLATION LEVEL", Command::Show("transaction_isolation".to_owned())),
            (
                "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
                Command::Begin { repeatable: true },
            ),
            ("START TRANSACTION", Command::Begin { repeatable: false }),
            ("END", Command::Commit),
            ("ROLLBACK TO SAVEPOINT a", Command::Savepoint { tag: "ROLLBACK", back: true }),
            ("DEALLOCATE ALL", Command::Deallocate(None)),
            ("DEALLOCATE PREPARE \"a1\"", Command::Deallocate(Some("a1".to_owned()))),
            ("DISCARD ALL", Command::Discard("DISCARD ALL")),
            ("UNLISTEN *", Command::Nothing("UNLISTEN")),
            ("CLOSE ALL", Command::CloseCursor(None)),
            ("CLOSE \"C\"", Command::CloseCursor(Some("C".to_owned()))),
            ("FETCH FORWARD 20 FROM C", Command::Fetch { name: "c".to_owned(), most: 20 }),
            ("FETCH ALL IN c", Command::Fetch { name: "c".to_owned(), most: 0 }),
            (
                "DECLARE \"c\" BINARY NO SCROLL CURSOR WITH HOLD FOR SELECT 1",
                Command::Declare {
                    name: "c".to_owned(),
                    query: "SELECT 1".to_owned(),
                    hold: true,
                    binary: true,
                },
            ),
            (
                "PREPARE p (int, text) AS SELECT $1, $2",
                Command::Prepare {
                    name: "p".to_owned(),
                    types: vec!["int".to_owned(), "text".to_owned()],
                    query: "SELECT $1, $2".to_owned(),
                },
            ),
            (
                "EXECUTE p (-1, 'it''s', NULL)",
                Command::Execute {
                    name: "p".to_owned(),
                    arguments: vec![Some("-1".to_owned()), Some("it's".to_owned()), None],
                },
            ),
            ("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", Command::Nothing("SET")),
            ("TABLE cost", Command::Query("SELECT * FROM  cost".to_owned())),
        ] {
            assert_eq!(one(sql), Ok(expected), "{sql}");
        }
    }

    #[test]
    fn copy_goes_to_the_client_alone() {
        let copy = |query: &str, form| Ok(Command::Copy { query: query.to_owned(), form });
        assert_eq!(
            one("COPY (SELECT 1) TO STDOUT (FORMAT \"binary\")"),
            copy("SELECT 1", Form::Binary)
        );
        assert_eq!(
            one("copy cost (a, b) to stdout with (format csv, header true)"),
            copy("SELECT a, b FROM cost", Form::Csv { header: true })
        );
        assert_eq!(
            one("COPY (SELECT 1) TO STDOUT WITH CSV HEADER"),
            copy("SELECT 1", Form::Csv { header: true })
        );
        assert_eq!(one("COPY cost TO STDOUT"), copy("SELECT * FROM cost", Form::Text));
        assert_eq!(one("COPY cost TO '/tmp/x'"), Err(error::FORBIDDEN));
        assert_eq!(one("COPY (SELECT 1) TO PROGRAM 'sh'"), Err(error::FORBIDDEN));
        assert_eq!(one("COPY cost FROM STDIN"), Err(error::READ_ONLY));
        assert_eq!(one("COPY cost FROM '/etc/passwd'"), Err(error::READ_ONLY));
    }

    #[test]
    fn what_writes_is_refused_whoever_would_have_stopped_it_later() {
        for sql in [
            "INSERT INTO cost VALUES (1)",
            "create external table t stored as csv location '/etc/passwd'",
            "/* SELECT */ DROP TABLE cost",
            "DO $$ BEGIN END $$",
            "VACUUM",
        ] {
            assert_eq!(one(sql), Err(error::READ_ONLY), "{sql}");
        }
        assert_eq!(one("SET ROLE postgres"), Err(error::FORBIDDEN));
        assert_eq!(one("DECLARE c CURSOR FOR DELETE FROM cost"), Err(error::READ_ONLY));
        assert_eq!(one("DECLARE c SCROLL CURSOR FOR SELECT 1"), Err(error::UNSUPPORTED));
        assert_eq!(one("PREPARE p AS DELETE FROM cost"), Err(error::READ_ONLY));
        assert_eq!(one("PREPARE TRANSACTION 'x'"), Err(error::UNSUPPORTED));
        assert_eq!(one("FETCH BACKWARD 3 FROM c"), Err("55000"));
        assert_eq!(one("EXECUTE p (pg_sleep(9))"), Err(error::UNSUPPORTED));
        assert_eq!(one("SELEC 1"), Err(error::SYNTAX));
        assert_eq!(one("'x'"), Err(error::SYNTAX));
        let second = commands("SELECT 1; DROP TABLE cost");
        assert_eq!(second.map_err(|error| error.code), Err(error::READ_ONLY));
        for sql in [
            "SELECT * INTO t FROM cost",
            "SELECT 1 FROM cost FOR UPDATE",
            "WITH x AS (SELECT * INTO y FROM cost) SELECT * FROM x",
            "EXPLAIN SELECT * INTO t FROM cost",
        ] {
            let statement = Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap().pop().unwrap();
            assert_eq!(check(&statement).map_err(|it| it.code), Err(error::READ_ONLY), "{sql}");
        }
    }

    #[test]
    fn what_would_be_too_deep_is_refused_before_it_is_parsed() {
        let long = format!("SELECT 1{}", "+1".repeat(4_000));
        assert_eq!(one(&long), Err(error::COMPLEX));
        let deep = format!("SELECT {}1{}", "(".repeat(100), ")".repeat(100));
        assert_eq!(one(&deep), Err(error::COMPLEX));
        let list = format!("SELECT 1 WHERE 1 IN ({}1)", "1,".repeat(100_000));
        assert!(one(&list).is_ok());
        let large = format!("SELECT '{}'", "x".repeat(2 * 1024 * 1024));
        assert_eq!(one(&large), Err(error::COMPLEX));
    }
}
