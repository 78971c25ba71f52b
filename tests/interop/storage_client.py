"""Google's Python client for the Storage Write API against `millrace local`.

Run with MILLRACE_STORAGE and MILLRACE_REST set; tests/prove/interop does so.
"""
import os
import sys
import uuid

import grpc
from google.api_core import exceptions
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from google.cloud.bigquery_storage_v1 import BigQueryWriteClient, types, writer
from google.cloud.bigquery_storage_v1.services.big_query_write.transports import (
    BigQueryWriteGrpcTransport)
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, wrappers_pb2

import check

rest = bigquery.Client(project="interop", credentials=AnonymousCredentials(),
                       client_options=ClientOptions(api_endpoint=os.environ["MILLRACE_REST"]))
client = BigQueryWriteClient(transport=BigQueryWriteGrpcTransport(
    channel=grpc.insecure_channel(os.environ["MILLRACE_STORAGE"])))
SCHEMA = [bigquery.SchemaField("id", "STRING", mode="REQUIRED"),
          bigquery.SchemaField("amount", "INT64")]


def row_type(*fields):
    """A message type with these (name, type, required) fields, and its descriptor."""
    file = descriptor_pb2.FileDescriptorProto(name=f"row_{uuid.uuid4().hex}.proto", syntax="proto2",
                                              package="rows")
    message = file.message_type.add(name="Row_" + uuid.uuid4().hex)
    for number, (name, kind, required) in enumerate(fields, 1):
        message.field.add(name=name, number=number, type=kind, label=2 if required else 1)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    full = f"rows.{message.name}"
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(full)), message


TEXT, INTEGER = (descriptor_pb2.FieldDescriptorProto.TYPE_STRING,
                 descriptor_pb2.FieldDescriptorProto.TYPE_INT64)
Row, DESCRIPTOR = row_type(("id", TEXT, False), ("amount", INTEGER, False))


def fresh():
    dataset = rest.create_dataset("d_" + uuid.uuid4().hex[:10])
    table = rest.create_table(bigquery.Table(dataset.table("t"), schema=SCHEMA))
    return f"projects/{table.project}/datasets/{table.dataset_id}/tables/t", table


def count(table):
    return len(list(rest.list_rows(table)))


def request(stream, numbers, offset=None, descriptor=DESCRIPTOR, kind=Row):
    rows = types.ProtoRows(serialized_rows=[
        kind(id=f"o-{n}", amount=n).SerializeToString() for n in numbers])
    made = types.AppendRowsRequest(write_stream=stream)
    made.proto_rows = types.AppendRowsRequest.ProtoData(
        rows=rows, writer_schema=types.ProtoSchema(proto_descriptor=descriptor))
    if offset is not None:
        made.offset = wrappers_pb2.Int64Value(value=offset)
    return made


def append(*requests):
    """All responses of one connection."""
    return list(client.append_rows(iter(requests)))


def create(table, kind):
    return client.create_write_stream(parent=table,
                                      write_stream=types.WriteStream(type_=kind)).name


def storage_error(response):
    """The StorageError code of an in-band error."""
    for detail in response.error.details:
        if detail.type_url.endswith("google.cloud.bigquery.storage.v1.StorageError"):
            return types.StorageError.deserialize(detail.value).code
    return None


def default_stream():
    name, table = fresh()
    first, second = append(request(name + "/streams/_default", range(100)),
                           request("", range(100, 200)))
    check.true("append_result" in first and "append_result" in second, "two results")
    check.true("offset" not in first.append_result, "the default stream has no offsets")
    check.equal(count(table), 200, "rows are there at once")
    refused, = append(request(name + "/_default", [1], offset=0))
    check.true(refused.error.code != 0, "an offset on the default stream")


def committed_stream():
    name, table = fresh()
    stream = create(name, types.WriteStream.Type.COMMITTED)
    a, b = append(request(stream, range(10), offset=0), request("", range(10, 15), offset=10))
    check.equal((a.append_result.offset, b.append_result.offset), (0, 10), "offsets")
    check.equal(count(table), 15, "rows are there at once")
    below, beyond, right = append(request(stream, [1], offset=3), request("", [1], offset=40),
                                  request("", [15], offset=15))
    check.equal((below.error.code, storage_error(below)),
                (6, types.StorageError.StorageErrorCode.OFFSET_ALREADY_EXISTS), "below the end")
    check.equal((beyond.error.code, storage_error(beyond)),
                (11, types.StorageError.StorageErrorCode.OFFSET_OUT_OF_RANGE), "beyond the end")
    check.equal(right.append_result.offset, 15, "and the connection goes on")
    check.equal(client.finalize_write_stream(name=stream).row_count, 16, "finalizing counts")
    after, = append(request(stream, [1], offset=16))
    check.equal(storage_error(after), types.StorageError.StorageErrorCode.STREAM_FINALIZED,
                "after it nothing is taken")


def pending_stream():
    name, table = fresh()
    streams = [create(name, types.WriteStream.Type.PENDING) for _ in range(2)]
    for stream in streams:
        append(request(stream, range(10), offset=0))
    check.equal(count(table), 0, "nothing shows")
    early = client.batch_commit_write_streams(
        types.BatchCommitWriteStreamsRequest(parent=name, write_streams=streams))
    check.true(not early.commit_time and early.stream_errors, "not before finalizing")
    for stream in streams:
        client.finalize_write_stream(name=stream)
    done = client.batch_commit_write_streams(
        types.BatchCommitWriteStreamsRequest(parent=name, write_streams=streams))
    check.true(done.commit_time and not done.stream_errors, "commit")
    check.equal(count(table), 20, "all rows at once")


def buffered_stream():
    name, table = fresh()
    stream = create(name, types.WriteStream.Type.BUFFERED)
    append(request(stream, range(10), offset=0))
    check.equal(count(table), 0, "nothing shows")
    flush = types.FlushRowsRequest(write_stream=stream, offset=wrappers_pb2.Int64Value(value=4))
    check.equal(client.flush_rows(flush).offset, 4, "flush")
    check.equal(count(table), 5, "rows up to the offset")
    client.flush_rows(flush)
    check.equal(count(table), 5, "flushing again changes nothing")


def bad_rows():
    name, table = fresh()
    stream = create(name, types.WriteStream.Type.COMMITTED)
    rows = [Row(id="good", amount=1).SerializeToString(), Row(amount=2).SerializeToString()]
    bad = request(stream, [], offset=0)
    bad.proto_rows.rows.serialized_rows = rows
    refused, taken = append(bad, request("", [1, 2], offset=0))
    check.equal(refused.error.code, 3, "INVALID_ARGUMENT")
    check.equal([e.index for e in refused.row_errors], [1], "the bad row is named")
    check.equal(taken.append_result.offset, 0, "nothing of it was written")
    check.equal(count(table), 2, "rows")


def unknown_column():
    name, _ = fresh()
    kind, descriptor = row_type(("id", TEXT, False), ("amount", INTEGER, False),
                                ("nowhere", TEXT, False))
    refused, = append(request(name + "/_default", [1], descriptor=descriptor, kind=kind))
    check.equal(storage_error(refused),
                types.StorageError.StorageErrorCode.SCHEMA_MISMATCH_EXTRA_FIELDS, "told")


def missing_things():
    check.refused(exceptions.NotFound,
                  lambda: create("projects/interop/datasets/none/tables/t",
                                 types.WriteStream.Type.COMMITTED), "a table that is not there")
    name, _ = fresh()
    check.refused(exceptions.NotFound, lambda: append(request(name + "/streams/none", [1])),
                  "a stream that is not there")
    stream = client.get_write_stream(name=name + "/streams/_default")
    check.equal(stream.type_, types.WriteStream.Type.COMMITTED, "the default stream is there")


def the_stream_writer():
    """The library's own manager of a connection."""
    name, table = fresh()
    template = types.AppendRowsRequest(write_stream=name + "/_default")
    template.proto_rows = types.AppendRowsRequest.ProtoData(
        writer_schema=types.ProtoSchema(proto_descriptor=DESCRIPTOR))
    stream = writer.AppendRowsStream(client, template)
    futures = []
    for start in range(0, 1000, 100):
        part = types.AppendRowsRequest()
        part.proto_rows = types.AppendRowsRequest.ProtoData(rows=types.ProtoRows(serialized_rows=[
            Row(id=f"o-{n}", amount=n).SerializeToString() for n in range(start, start + 100)]))
        futures.append(stream.send(part))
    for future in futures:
        future.result(timeout=30)
    stream.close()
    check.equal(count(table), 1000, "rows")


if __name__ == "__main__":
    sys.exit(check.run([default_stream, committed_stream, pending_stream, buffered_stream, bad_rows,
                        unknown_column, missing_things, the_stream_writer]))
