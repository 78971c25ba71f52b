#!/usr/bin/env python3
"""Aim: an independent protobuf implementation reads what we write and writes what we read.

Messages are declared here by field number, made with random values by Python's protobuf, sent
through tests/wire/speak.c (parse, then put) and compared as messages. Messages built in C are read
here and their members compared with their names. Skips with 77 where protobuf is not installed.
"""
import os
import random
import subprocess
import sys

try:
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
except ImportError:
    system = "/usr/bin/python3"
    if os.path.exists(system) and os.path.realpath(system) != os.path.realpath(sys.executable):
        os.execv(system, [system] + sys.argv)
    print("SKIPPED: Python has no protobuf (Debian: python3-protobuf); no cross-check was made")
    sys.exit(77)

ROUNDS = 60
SEED = 20240430

# name kind: s string, y bytes, i int32, l int64, b bool, m map of strings, a capital: a message;
# a leading * repeats. Opaque stands for parts that are kept unread.
SCHEMA = """
Opaque: 1 text s, 2 number l
Time: 1 seconds l, 2 nanos i
Int64: 1 value l
Any: 1 type_url s, 2 value y
Status: 1 code i, 2 message s, 3 details *Any
ErrorInfo: 1 reason s, 2 domain s, 3 metadata m
RetryInfo: 1 retry_delay Time
PubsubMessage: 1 data y, 2 attributes m, 3 message_id s, 4 publish_time Time, 5 ordering_key s
ReceivedMessage: 1 ack_id s, 2 message PubsubMessage, 3 delivery_attempt i
PublishRequest: 1 topic s, 2 messages *PubsubMessage
PublishResponse: 1 message_ids *s
PullRequest: 1 subscription s, 2 return_immediately b, 3 max_messages i
PullResponse: 1 received_messages *ReceivedMessage
AcknowledgeRequest: 1 subscription s, 2 ack_ids *s
ModifyAckDeadlineRequest: 1 subscription s, 3 ack_deadline_seconds i, 4 ack_ids *s
StreamingPullRequest: 1 subscription s, 2 ack_ids *s, 3 modify_deadline_seconds *i, 4 modify_deadline_ack_ids *s, 5 stream_ack_deadline_seconds i, 6 client_id s, 7 max_outstanding_messages l, 8 max_outstanding_bytes l, 10 protocol_version l
ModifyConfirmation: 1 ack_ids *s, 2 invalid_ack_ids *s, 3 temporary_failed_ack_ids *s
AckConfirmation: 1 ack_ids *s, 2 invalid_ack_ids *s, 3 unordered_ack_ids *s, 4 temporary_failed_ack_ids *s
Properties: 1 exactly_once_delivery_enabled b, 2 message_ordering_enabled b
StreamingPullResponse: 1 received_messages *ReceivedMessage, 3 modify_ack_deadline_confirmation ModifyConfirmation, 4 subscription_properties Properties, 5 acknowledge_confirmation AckConfirmation
SeekRequest: 1 subscription s, 2 time Time, 3 snapshot s
Topic: 1 name s, 2 labels m, 3 message_storage_policy Opaque, 5 kms_key_name s, 6 schema_settings Opaque, 7 satisfies_pzs b, 8 message_retention_duration Time, 9 state i, 10 ingestion Opaque, 13 message_transforms *Opaque, 14 tags m
PushConfig: 1 push_endpoint s, 2 attributes m, 3 oidc_token Opaque, 4 pubsub_wrapper Opaque, 5 no_wrapper Opaque
ExpirationPolicy: 1 ttl Time
DeadLetterPolicy: 1 dead_letter_topic s, 2 max_delivery_attempts i
RetryPolicy: 1 minimum_backoff Time, 2 maximum_backoff Time
Subscription: 1 name s, 2 topic s, 4 push_config PushConfig, 5 ack_deadline_seconds i, 7 retain_acked_messages b, 8 message_retention_duration Time, 9 labels m, 10 enable_message_ordering b, 11 expiration_policy ExpirationPolicy, 12 filter s, 13 dead_letter_policy DeadLetterPolicy, 14 retry_policy RetryPolicy, 15 detached b, 16 enable_exactly_once_delivery b, 17 topic_message_retention_duration Time, 18 bigquery_config Opaque, 19 state i, 22 cloud_storage_config Opaque, 23 analytics_hub_subscription_info Opaque, 25 message_transforms *Opaque, 26 tags m, 27 bigtable_config Opaque
Snapshot: 1 name s, 2 topic s, 3 expire_time Time, 4 labels m
CreateSnapshotRequest: 1 name s, 2 subscription s, 3 labels m, 4 tags m
FieldMask: 1 paths *s
UpdateTopicRequest: 1 topic Topic, 2 update_mask FieldMask
UpdateSubscriptionRequest: 1 subscription Subscription, 2 update_mask FieldMask
ModifyPushConfigRequest: 1 subscription s, 2 push_config PushConfig
ListTopicsRequest: 1 project s, 2 page_size i, 3 page_token s
ListTopicSubscriptionsResponse: 1 subscriptions *s, 2 next_page_token s
ProtoSchema: 1 proto_descriptor Opaque
ProtoRows: 1 serialized_rows *y
ProtoData: 1 writer_schema ProtoSchema, 2 rows ProtoRows
MissingEntry: 1 key s, 2 value i
AppendRowsRequest: 1 write_stream s, 2 offset Int64, 4 proto_rows ProtoData, 5 arrow_rows Opaque, 6 trace_id s, 7 missing_value_interpretations *MissingEntry, 8 default_missing_value_interpretation i, 9 client_stats Opaque
AppendResult: 1 offset Int64
RowError: 1 index l, 2 code i, 3 message s
TableSchema: 1 fields *TableFieldSchema
TableFieldSchema: 1 name s, 2 type i, 3 mode i, 4 fields *TableFieldSchema, 6 description s, 7 max_length l, 8 precision l, 9 scale l, 10 default_value_expression s, 11 range_element_type Opaque, 27 timestamp_precision Int64
AppendRowsResponse: 1 append_result AppendResult, 2 error Status, 3 updated_schema TableSchema, 4 row_errors *RowError, 5 write_stream s
StorageError: 1 code i, 2 entity s, 3 error_message s
WriteStream: 1 name s, 2 type i, 3 create_time Time, 4 commit_time Time, 5 table_schema TableSchema, 7 write_mode i, 8 location s
CreateWriteStreamRequest: 1 parent s, 2 write_stream WriteStream
GetWriteStreamRequest: 1 name s, 3 view i
FinalizeWriteStreamResponse: 1 row_count l
BatchCommitWriteStreamsRequest: 1 parent s, 2 write_streams *s
BatchCommitWriteStreamsResponse: 1 commit_time Time, 2 stream_errors *StorageError
FlushRowsRequest: 1 write_stream s, 2 offset Int64
FlushRowsResponse: 1 offset l
"""

SPOKEN = """Status ErrorInfo RetryInfo StreamingPullRequest StreamingPullResponse AcknowledgeRequest
ModifyAckDeadlineRequest PublishRequest PublishResponse PullRequest PullResponse SeekRequest Topic
Subscription Snapshot CreateSnapshotRequest UpdateTopicRequest UpdateSubscriptionRequest
ModifyPushConfigRequest ListTopicsRequest ListTopicSubscriptionsResponse AppendRowsRequest
AppendRowsResponse RowError StorageError WriteStream TableFieldSchema CreateWriteStreamRequest
GetWriteStreamRequest FinalizeWriteStreamResponse BatchCommitWriteStreamsRequest
BatchCommitWriteStreamsResponse FlushRowsRequest FlushRowsResponse""".split()

F = descriptor_pb2.FieldDescriptorProto
SCALARS = {"s": F.TYPE_STRING, "y": F.TYPE_BYTES, "i": F.TYPE_INT32, "l": F.TYPE_INT64,
           "b": F.TYPE_BOOL}


def add_map(message, field, name):
    entry = message.nested_type.add(name=name.title().replace("_", "") + "Entry")
    entry.options.map_entry = True
    for number, part in ((1, "key"), (2, "value")):
        entry.field.add(name=part, number=number, type=F.TYPE_STRING, label=F.LABEL_OPTIONAL)
    field.type, field.label = F.TYPE_MESSAGE, F.LABEL_REPEATED
    field.type_name = ".x." + message.name + "." + entry.name


def classes():
    file = descriptor_pb2.FileDescriptorProto(name="x.proto", package="x", syntax="proto3")
    for line in SCHEMA.strip().splitlines():
        name, fields = line.split(": ")
        message = file.message_type.add(name=name)
        for text in fields.split(", "):
            number, member, kind = text.split()
            field = message.field.add(name=member, number=int(number), label=F.LABEL_OPTIONAL)
            if kind.startswith("*"):
                field.label, kind = F.LABEL_REPEATED, kind[1:]
            if kind == "m":
                add_map(message, field, member)
            elif kind in SCALARS:
                field.type = SCALARS[kind]
            else:
                field.type, field.type_name = F.TYPE_MESSAGE, ".x." + kind
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    factory = message_factory.MessageFactory(pool)
    return {m.name: factory.GetPrototype(pool.FindMessageTypeByName("x." + m.name))
            for m in file.message_type}


def scalar(dice, kind):
    text = "".join(dice.choice("abz09/\u00fc\u20ac") for _ in range(dice.choice((0, 1, 9, 130))))
    if kind == F.TYPE_STRING:
        return text
    if kind == F.TYPE_BYTES:
        return dice.randbytes(dice.choice((0, 1, 20, 200)))
    if kind == F.TYPE_BOOL:
        return dice.random() < 0.5
    bits = 31 if kind == F.TYPE_INT32 else 63
    return dice.choice((0, 1, -1, 127, 128, 2**bits - 1, -2**bits, dice.randrange(2**bits)))


def fill(dice, message, depth=0):
    for field in message.DESCRIPTOR.fields:
        if dice.random() < 0.25:
            continue
        nested = field.type == F.TYPE_MESSAGE
        if nested and field.message_type.GetOptions().map_entry:
            for _ in range(dice.randrange(4)):
                getattr(message, field.name)[scalar(dice, F.TYPE_STRING)] = \
                    scalar(dice, F.TYPE_STRING)
        elif nested and depth > 3:
            continue
        elif field.label == F.LABEL_REPEATED:
            values = getattr(message, field.name)
            for _ in range(dice.randrange(3)):
                if nested:
                    fill(dice, values.add(), depth + 1)
                else:
                    values.append(scalar(dice, field.type))
        elif nested:
            getattr(message, field.name).SetInParent()
            fill(dice, getattr(message, field.name), depth + 1)
        else:
            setattr(message, field.name, scalar(dice, field.type))


def settle(message):
    """Publish times are microseconds here, and 0 is absent: keep to what fits."""
    for received in message.received_messages:
        received.message.SetInParent()
        if received.message.HasField("publish_time"):
            received.message.publish_time.seconds = 1714475984
            received.message.publish_time.nanos = 123456000


class Peer:
    def __init__(self, path):
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)

    def ask(self, name, text):
        self.process.stdin.write(name + " " + text + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()


def names_agree(message, errors):
    """Members set in C bear their own name, or their own number."""
    for field, value in message.ListFields():
        if field.label == F.LABEL_REPEATED or field.type == F.TYPE_MESSAGE:
            continue
        wanted = {F.TYPE_STRING: field.name, F.TYPE_BYTES: field.name.encode(), F.TYPE_BOOL: True}
        if value != wanted.get(field.type, value):
            errors.append("%s.%s is %r" % (message.DESCRIPTOR.name, field.name, value))


BUILT = {
    "StreamingPullRequest": dict(stream_ack_deadline_seconds=5, max_outstanding_messages=7,
                                 max_outstanding_bytes=8, protocol_version=10, client_id="client_id"),
    "ModifyAckDeadlineRequest": dict(ack_deadline_seconds=3, subscription="subscription"),
    "WriteStream": dict(type=2, write_mode=1, name="name", location="location"),
    "TableFieldSchema": dict(type=2, mode=3, max_length=7, precision=8, scale=9),
    "StorageError": dict(code=8, entity="entity", error_message="error_message"),
    "Subscription": dict(ack_deadline_seconds=5, state=19, name="name", topic="topic"),
    "AppendRowsRequest": dict(trace_id="trace_id", default_missing_value_interpretation=2),
    "PullResponse": {},
}


def check_built(peer, types, errors):
    got = {}
    for name, members in BUILT.items():
        message = got[name] = types[name]()
        message.ParseFromString(bytes.fromhex(peer.ask(name, "build")))
        names_agree(message, errors)
        for member, value in members.items():
            if getattr(message, member) != value:
                errors.append("%s.%s" % (name, member))
    received = got["PullResponse"].received_messages[0]
    names_agree(received, errors)
    names_agree(received.message, errors)
    append, subscription = got["AppendRowsRequest"], got["Subscription"]
    names_agree(subscription.dead_letter_policy, errors)
    facts = {
        "ack id": received.ack_id == "ack_id" and received.delivery_attempt == 3,
        "attributes": dict(received.message.attributes) == {"key": "value"},
        "publish time": received.message.publish_time.nanos == 500000000,
        "offset 0 is sent": append.HasField("offset") and append.offset.value == 0,
        "rows": list(append.proto_rows.rows.serialized_rows) == [b"row", b""],
        "descriptor": append.proto_rows.writer_schema.proto_descriptor.text == "name",
        "ids": list(got["ModifyAckDeadlineRequest"].ack_ids) == ["ack_ids"],
        "back-off": (subscription.retry_policy.minimum_backoff.seconds,
                     subscription.retry_policy.maximum_backoff.seconds) == (1, 2),
        "retention": (subscription.message_retention_duration.seconds,
                      subscription.topic_message_retention_duration.seconds) == (8, 17),
        "ttl": subscription.expiration_policy.ttl.seconds == 11,
        "attempts": subscription.dead_letter_policy.max_delivery_attempts == 13,
        "times": (got["WriteStream"].create_time.seconds,
                  got["WriteStream"].commit_time.seconds) == (3, 4),
        "precision": got["TableFieldSchema"].timestamp_precision.value == 12,
    }
    errors.extend(name for name, holds in facts.items() if not holds)


def check_descriptor(peer, errors):
    root = descriptor_pb2.DescriptorProto(name="Row")
    inner = root.nested_type.add(name="Inner")
    inner.field.add(name="x", number=1, type=F.TYPE_BYTES, label=F.LABEL_REQUIRED)
    kind = root.enum_type.add(name="Kind")
    kind.value.add(name="ZERO", number=0)
    root.field.add(name="id", number=1, type=F.TYPE_INT64, label=F.LABEL_OPTIONAL)
    root.field.add(name="inner", number=2000, type=F.TYPE_MESSAGE, label=F.LABEL_REPEATED,
                   type_name="Inner")
    root.field.add(name="kind", number=3, type=F.TYPE_ENUM, label=F.LABEL_OPTIONAL,
                   type_name=".Row.Kind")
    text = peer.ask("DescriptorProto", root.SerializeToString().hex())
    if bytes.fromhex(text) != root.SerializeToString():
        errors.append("DescriptorProto came back as " + text)


def main():
    peer, types, dice, errors = Peer(sys.argv[1]), classes(), random.Random(SEED), []
    for name in SPOKEN:
        for _ in range(ROUNDS):
            sent, got = types[name](), types[name]()
            fill(dice, sent)
            if name == "PullResponse":
                settle(sent)
            reply = peer.ask(name, sent.SerializeToString().hex())
            try:
                got.ParseFromString(bytes.fromhex(reply))
            except Exception as error:  # whatever the library thinks of it
                errors.append("%s: %s: %s" % (name, reply[:80], error))
                break
            if got != sent:
                errors.append("%s differs:\n%s\nbecame\n%s" % (name, sent, got))
                break
    check_built(peer, types, errors)
    check_descriptor(peer, errors)
    for error in errors:
        print(error)
    print("%d messages of %d kinds, seed %d: %d disagreements"
          % (ROUNDS * len(SPOKEN), len(SPOKEN), SEED, len(errors)))
    return 1 if errors else 0


sys.exit(main())
