"""Google's Python client for BigQuery's REST calls against `millrace local`.

Run with MILLRACE_REST set; tests/prove/interop does so.
"""
import os
import sys
import uuid

from google.api_core import exceptions
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

import check

client = bigquery.Client(project="interop", credentials=AnonymousCredentials(),
                         client_options=ClientOptions(api_endpoint=os.environ["MILLRACE_REST"]))
SCHEMA = [bigquery.SchemaField("id", "STRING", mode="REQUIRED"),
          bigquery.SchemaField("amount", "INT64"),
          bigquery.SchemaField("at", "TIMESTAMP")]


def fresh(schema=SCHEMA):
    dataset = client.create_dataset("d_" + uuid.uuid4().hex[:10])
    return client.create_table(bigquery.Table(dataset.table("t"), schema=schema))


def datasets():
    name = "d_" + uuid.uuid4().hex[:10]
    client.create_dataset(name)
    check.equal(client.get_dataset(name).dataset_id, name, "a dataset is there")
    check.true(name in {d.dataset_id for d in client.list_datasets()}, "and listed")
    check.refused(exceptions.Conflict, lambda: client.create_dataset(name), "a second of a name")
    client.delete_dataset(name)
    check.refused(exceptions.NotFound, lambda: client.get_dataset(name), "what is gone")


def tables():
    table = fresh()
    got = client.get_table(table)
    check.equal([(f.name, f.field_type, f.mode) for f in got.schema],
                [("id", "STRING", "REQUIRED"), ("amount", "INTEGER", "NULLABLE"),
                 ("at", "TIMESTAMP", "NULLABLE")], "columns")
    check.equal([t.table_id for t in client.list_tables(table.dataset_id)], ["t"], "listed")
    got.schema = [*got.schema, bigquery.SchemaField("note", "STRING")]
    got = client.update_table(got, ["schema"])
    check.equal(got.schema[-1].name, "note", "a column is added")
    check.refused(exceptions.Conflict, lambda: client.create_table(table), "a second of a name")
    client.delete_table(table)
    check.refused(exceptions.NotFound, lambda: client.get_table(table), "what is gone")
    check.refused(exceptions.NotFound, lambda: client.get_table("interop.nowhere.t"), "nowhere")


def rows():
    table = fresh()
    errors = client.insert_rows_json(table, [
        {"id": f"o-{i}", "amount": i, "at": "2026-11-22T12:00:00Z"} for i in range(1200)])
    check.equal(errors, [], "rows are taken")
    got = list(client.list_rows(table, page_size=500))
    check.equal(len(got), 1200, "rows in pages")
    check.equal(sorted(row["amount"] for row in got), list(range(1200)), "values")
    check.equal(got[0]["at"].isoformat(), "2026-11-22T12:00:00+00:00", "times")
    errors = client.insert_rows_json(table, [{"id": "x", "amount": "no number"}])
    check.true(errors and errors[0]["index"] == 0, "a bad row is told")


def queries():
    table = fresh()
    client.insert_rows_json(table, [{"id": f"o-{i % 3}", "amount": i} for i in range(30)])
    found = client.query_and_wait(
        f"SELECT id, COUNT(*) AS n, SUM(amount) AS total FROM `{table.project}.{table.dataset_id}"
        f".{table.table_id}` GROUP BY id ORDER BY id")
    check.equal([(row.id, row.n, row.total) for row in found],
                [(f"o-{k}", 10, sum(range(k, 30, 3))) for k in range(3)], "sums")
    check.equal([row.f for row in client.query("SELECT 1 AS f").result()], [1], "as a job")
    check.refused(exceptions.GoogleAPICallError,
                  lambda: client.query_and_wait("SELECT FROM nothing", retry=None,
                                                job_retry=None), "bad SQL")


if __name__ == "__main__":
    sys.exit(check.run([datasets, tables, rows, queries]))
