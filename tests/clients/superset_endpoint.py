"""Apache Superset 6.1 against the SQL endpoint, by its own code: what its pages for databases, datasets
and SQL Lab ask. It needs Python 3.12 and some minutes of installing, so it runs by hand:

    python3.12 -m venv superset && superset/bin/pip install 'apache-superset==6.1.0' psycopg2-binary rich \\
      cachetools 'marshmallow<4' 'cachelib<0.14' 'flask-caching<2.4'
    printf 'SECRET_KEY = "%s"\\nSQLALCHEMY_DATABASE_URI = "sqlite:////tmp/superset.db"\\n' "$(openssl rand -hex 32)" > superset_config.py
    export SUPERSET_CONFIG_PATH=$PWD/superset_config.py FLASK_APP=superset
    superset/bin/superset db upgrade && superset/bin/superset init
    superset/bin/python tests/clients/superset_endpoint.py postgresql+psycopg2://USER:PASSWORD@127.0.0.1:15432/centime
"""

import sys

from superset.app import create_app

with create_app().app_context():
    from flask import g
    from superset.models.core import Database
    from superset.sql.parse import Table

    g.user = None
    database = Database(database_name="centime")
    database.set_sqlalchemy_uri(sys.argv[1])
    schemas = database.get_all_schema_names(catalog=None)
    assert "public" in schemas, schemas
    tables = {table for table, _, _ in database.get_all_table_names_in_schema(None, "public")}
    assert {"cost", "findings", "usage"} <= tables, tables
    database.get_all_view_names_in_schema(None, "public")
    columns = {column["column_name"]: str(column["type"]) for column in database.get_columns(Table("cost", "public"))}
    assert columns["billed_cost"] == "NUMERIC(38, 12)", columns
    database.get_indexes(Table("cost", "public"))
    database.get_pk_constraint(Table("cost", "public"))
    assert database.get_table_comment(Table("cost", "public"))
    # SQL Lab, and the queries of charts: a time grain, a sum, a limit of its own.
    spec = database.db_engine_spec
    grain = spec.get_time_grain_expressions()["P1M"].format(col="charge_period_start")
    frame = database.get_df(
        f'SELECT {grain} AS "month", service_name, sum(effective_cost) AS usd FROM public.cost '
        "WHERE x_view = 'account_service' GROUP BY 1, 2 ORDER BY usd DESC LIMIT 100001",
        catalog=None,
        schema="public",
    )
    assert len(frame) > 3, frame
    print(database.select_star(Table("cost", "public"), limit=5, show_cols=True, latest_partition=False)[:60])
    print(f"Superset: {len(tables)} tables, {len(columns)} columns of cost, {len(frame)} rows")
