import java.math.BigDecimal;
import java.sql.*;
import java.time.*;
import java.util.*;

/** JDBC: all in the extended protocol, named statements from the fifth run, pieces by fetch size. */
class SqlEndpoint {
    static int done = 0;
    static final List<String> wrong = new ArrayList<>();

    static void equal(String what, Object found, Object expected) {
        done++;
        if (!Objects.equals(found, expected)) wrong.add(what + ": found " + found + ", expected " + expected);
    }

    public static void main(String[] arguments) throws Exception {
        String url = "jdbc:postgresql://127.0.0.1:" + arguments[0] + "/centime";
        Properties login = new Properties();
        login.setProperty("user", arguments[1]);
        login.setProperty("password", arguments[2]);
        try (Connection connection = DriverManager.getConnection(url, login)) {
            DatabaseMetaData about = connection.getMetaData();
            equal("product", about.getDatabaseProductName(), "PostgreSQL");
            Map<String, String> tables = new TreeMap<>();
            try (ResultSet rows = about.getTables(null, "public", "%", new String[] {"TABLE", "VIEW"})) {
                while (rows.next()) tables.put(rows.getString("TABLE_NAME"), rows.getString("REMARKS"));
            }
            equal("tables", tables.keySet().containsAll(List.of("cost", "usage", "findings")), true);
            equal("a comment", tables.get("cost").isEmpty(), false);
            Map<String, String> columns = new TreeMap<>();
            try (ResultSet rows = about.getColumns(null, "public", "cost", "%")) {
                while (rows.next()) {
                    columns.put(rows.getString("COLUMN_NAME"), rows.getString("TYPE_NAME") + " "
                            + rows.getInt("COLUMN_SIZE") + " " + rows.getInt("DECIMAL_DIGITS"));
                }
            }
            equal("money", columns.get("billed_cost"), "numeric 38 12");
            equal("a day", columns.get("charge_period_start"), "date 13 0");
            try (ResultSet rows = about.getSchemas()) { while (rows.next()) { } }
            try (ResultSet rows = about.getCatalogs()) { while (rows.next()) { } }
            try (ResultSet rows = about.getPrimaryKeys(null, "public", "cost")) { equal("keys", rows.next(), false); }
            try (ResultSet rows = about.getIndexInfo(null, "public", "cost", false, false)) { equal("indexes", rows.next(), false); }
            try (ResultSet rows = about.getImportedKeys(null, "public", "cost")) { equal("foreign keys", rows.next(), false); }
            try (ResultSet rows = about.getTypeInfo()) { equal("types", rows.next(), true); }

            String sql = "SELECT ?::text AS a, ?::bigint AS b, ?::numeric AS c, ?::date AS d, ?::timestamptz AS e, ?::boolean AS f";
            try (PreparedStatement statement = connection.prepareStatement(sql)) {
                // From the fifth run on it is a named statement with binary values.
                for (int run = 0; run < 8; run++) {
                    statement.setString(1, "it's " + run);
                    statement.setLong(2, 1L << 40);
                    statement.setBigDecimal(3, new BigDecimal("12345.678"));
                    statement.setObject(4, LocalDate.of(2026, 2, 18));
                    statement.setObject(5, OffsetDateTime.of(2026, 2, 18, 7, 33, 0, 0, ZoneOffset.UTC));
                    statement.setBoolean(6, true);
                    try (ResultSet row = statement.executeQuery()) {
                        row.next();
                        equal("text", row.getString(1), "it's " + run);
                        equal("bigint", row.getLong(2), 1L << 40);
                        equal("numeric", row.getBigDecimal(3).compareTo(new BigDecimal("12345.678")), 0);
                        equal("date", row.getObject(4, LocalDate.class), LocalDate.of(2026, 2, 18));
                        equal("instant", row.getObject(5, OffsetDateTime.class).toInstant(), Instant.parse("2026-02-18T07:33:00Z"));
                        equal("boolean", row.getBoolean(6), true);
                    }
                }
            }
            try (PreparedStatement statement = connection.prepareStatement(
                    "SELECT count(*), sum(billed_cost) FROM cost WHERE x_view = ? AND charge_period_start >= ?")) {
                statement.setString(1, "region");
                statement.setDate(2, java.sql.Date.valueOf("2000-01-01"));
                try (ResultSet row = statement.executeQuery()) {
                    row.next();
                    equal("rows", row.getLong(1) > 0, true);
                    equal("scale", row.getBigDecimal(2).scale(), 12);
                }
            }
            connection.setAutoCommit(false);
            connection.setReadOnly(true);
            try (Statement statement = connection.createStatement()) {
                statement.setFetchSize(100);
                int rows = 0;
                try (ResultSet result = statement.executeQuery("SELECT * FROM cost LIMIT 1050")) {
                    while (result.next()) rows++;
                }
                equal("in pieces", rows, 1050);
            }
            connection.commit();
            connection.setAutoCommit(true);
            try (Statement statement = connection.createStatement()) {
                statement.setQueryTimeout(1);
                statement.executeQuery("SELECT count(*) FROM generate_series(1, 300000) a, "
                        + "generate_series(1, 300000) b WHERE a.value + b.value = 7");
                equal("a timeout", "none", "57014");
            } catch (SQLException error) {
                equal("a timeout", error.getSQLState(), "57014");
            }
            try (Statement statement = connection.createStatement()) {
                statement.executeUpdate("UPDATE cost SET billed_cost = 0");
                equal("a write", "done", "25006");
            } catch (SQLException error) {
                equal("a write", error.getSQLState(), "25006");
            }
            try (Statement statement = connection.createStatement()) {
                statement.executeQuery("SELECT no_such FROM cost");
            } catch (SQLException error) {
                equal("a column", error.getSQLState(), "42703");
            }
        }
        if (!wrong.isEmpty()) {
            System.err.println(String.join("\n", wrong));
            System.exit(1);
        }
        System.out.println(done + " checks hold");
    }
}
