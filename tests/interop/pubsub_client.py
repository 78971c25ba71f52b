"""Google's Python client for Pub/Sub against `millrace local`: what users of it rely on.

Run with PUBSUB_EMULATOR_HOST set; tests/prove/interop does so.
"""
import datetime
import os
import sys
import threading
import time
import uuid

from google.api_core import exceptions
from google.cloud import pubsub_v1
from google.cloud.pubsub_v1 import types
from google.cloud.pubsub_v1.subscriber import exceptions as subscriber_exceptions
from google.protobuf import duration_pb2, field_mask_pb2, timestamp_pb2

import check

PROJECT = "interop"
publisher = pubsub_v1.PublisherClient()
subscriber = pubsub_v1.SubscriberClient()
DEAD_LETTER = {"CloudPubSubDeadLetterSourceDeliveryCount",
               "CloudPubSubDeadLetterSourceSubscription",
               "CloudPubSubDeadLetterSourceSubscriptionProject",
               "CloudPubSubDeadLetterSourceTopicPublishTime"}


def fresh_topic(**settings):
    name = publisher.topic_path(PROJECT, "topic-" + uuid.uuid4().hex[:12])
    publisher.create_topic(request={"name": name, **settings})
    return name


def fresh(**settings):
    """A topic and a subscription of it, with these settings."""
    topic = fresh_topic()
    name = subscriber.subscription_path(PROJECT, "sub-" + uuid.uuid4().hex[:12])
    subscriber.create_subscription(request={"name": name, "topic": topic, **settings})
    return topic, name


def publish(topic, texts, client=None, **attributes):
    futures = [(client or publisher).publish(topic, text.encode(), **attributes) for text in texts]
    return [future.result(timeout=30) for future in futures]


def pull(subscription, count=1000, wait=True):
    return list(subscriber.pull(request={"subscription": subscription, "max_messages": count,
                                         "return_immediately": not wait}).received_messages)


def pull_until(subscription, wanted, seconds=20):
    """Pulls until `wanted` messages have come."""
    got, until = [], time.monotonic() + seconds
    while len(got) < wanted and time.monotonic() < until:
        got += pull(subscription, wait=False)
        time.sleep(0.02)
    return got


def ack(subscription, messages):
    subscriber.acknowledge(request={"subscription": subscription,
                                    "ack_ids": [m.ack_id for m in messages]})


class Receiver:
    """A streaming subscriber; `handle` gets each message, `wait` until so many have come."""

    def __init__(self, subscription, handle=lambda message: message.ack(), **settings):
        self.messages, self.handle = [], handle
        self.changed = threading.Condition()
        self.future = subscriber.subscribe(subscription, self.got, **settings)

    def got(self, message):
        self.handle(message)
        with self.changed:
            self.messages.append(message)
            self.changed.notify_all()

    def wait(self, count, seconds=30):
        with self.changed:
            return self.changed.wait_for(lambda: len(self.messages) >= count, seconds)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.future.cancel()
        self.future.result(timeout=30)


def streaming_receive():
    topic, name = fresh()
    texts = [f"order {i}" for i in range(3000)]
    ids = publish(topic, texts, region="europe")
    with Receiver(name) as receiver:
        check.true(receiver.wait(len(texts)), "all messages come")
        got = {m.message_id: m for m in receiver.messages}
    check.equal(set(got), set(ids), "message ids are those that publishing gave")
    check.equal(sorted(m.data.decode() for m in got.values()), sorted(texts), "data")
    check.true(all(dict(m.attributes) == {"region": "europe"} for m in got.values()), "attributes")
    check.true(all(len(i) == 17 and i.isdigit() for i in ids), "ids have 17 digits")
    age = datetime.datetime.now(datetime.timezone.utc) - next(iter(got.values())).publish_time
    check.true(abs(age.total_seconds()) < 600, "publish time is now")
    time.sleep(0.3)
    check.equal(pull(name, wait=False), [], "nothing is left once all is acknowledged")


def large_messages():
    topic, name = fresh()
    texts = [chr(97 + i) * 2_000_000 for i in range(8)]
    publish(topic, texts)
    with Receiver(name) as receiver:
        check.true(receiver.wait(len(texts)), "all messages come")
        check.equal(sorted(m.data.decode() for m in receiver.messages), texts, "data")


def flow_control_is_per_stream():
    topic, name = fresh()
    publish(topic, [str(i) for i in range(50)])
    requests = iter([types.StreamingPullRequest(subscription=name, stream_ack_deadline_seconds=60,
                                                max_outstanding_messages=7)])
    hold = threading.Event()

    def talk():
        yield next(requests)
        hold.wait(30)

    stream = subscriber.streaming_pull(requests=talk())
    response = next(iter(stream))
    check.equal(len(response.received_messages), 7, "no more than max_outstanding_messages come")
    hold.set()
    stream.cancel()
    check.equal(len(pull_until(name, 43)), 43, "the others are for other pullers")


def nack_redelivers():
    topic, name = fresh()
    first, = publish(topic, ["again"])
    seen = []

    def handle(message):
        seen.append(message.ack_id)
        message.nack() if len(seen) < 3 else message.ack()

    with Receiver(name, handle) as receiver:
        check.true(receiver.wait(3), "nacked messages come again")
        check.equal({m.message_id for m in receiver.messages}, {first}, "under the same id")
        check.equal(len(set(seen)), 3, "with an ack id of its own each time")


def lease_expires_and_extends():
    topic, name = fresh(ack_deadline_seconds=10)
    publish(topic, ["kept", "lost"])
    messages = {m.message.data.decode(): m for m in pull_until(name, 2)}
    start = time.monotonic()
    subscriber.modify_ack_deadline(request={"subscription": name, "ack_deadline_seconds": 60,
                                            "ack_ids": [messages["kept"].ack_id]})
    check.equal(pull(name, wait=False), [], "leased messages do not come")
    again = pull_until(name, 1, 25)
    check.equal([m.message.data for m in again], [b"lost"], "the one not extended comes again")
    check.true(time.monotonic() - start > 8, "not before its deadline")
    ack(name, again + [messages["kept"]])
    subscriber.modify_ack_deadline(request={"subscription": name, "ack_deadline_seconds": 0,
                                            "ack_ids": [messages["kept"].ack_id]})
    check.equal(pull(name, wait=False), [], "an acknowledged message cannot be given back")


def dead_letters():
    dead_topic, dead = fresh()
    topic, name = fresh(dead_letter_policy={"dead_letter_topic": dead_topic,
                                            "max_delivery_attempts": 5})
    publish(topic, ["poison"], colour="green")
    attempts = []

    def handle(message):
        attempts.append(message.delivery_attempt)
        message.nack()

    with Receiver(name, handle) as receiver:
        check.true(receiver.wait(5), "five attempts")
        letters = pull_until(dead, 1)
    check.equal(attempts, [1, 2, 3, 4, 5], "delivery_attempt counts")
    check.equal(len(letters), 1, "one letter")
    letter = letters[0].message
    check.equal(letter.data, b"poison", "data")
    check.equal(set(letter.attributes), DEAD_LETTER | {"colour"}, "attributes")
    check.equal(letter.attributes["CloudPubSubDeadLetterSourceDeliveryCount"], "5", "count")
    check.equal(letter.attributes["CloudPubSubDeadLetterSourceSubscription"],
                name.rsplit("/", 1)[1], "subscription")
    check.equal(letter.attributes["CloudPubSubDeadLetterSourceSubscriptionProject"], PROJECT,
                "project")


def ordering_keys():
    options = pubsub_v1.types.PublisherOptions(enable_message_ordering=True)
    ordered = pubsub_v1.PublisherClient(publisher_options=options)
    topic, name = fresh(enable_message_ordering=True)
    futures = [ordered.publish(topic, str(i).encode(), ordering_key=f"key-{i % 5}")
               for i in range(500)]
    for future in futures:
        future.result(timeout=30)
    with Receiver(name) as receiver:
        check.true(receiver.wait(500), "all messages come")
        for key in range(5):
            numbers = [int(m.data) for m in receiver.messages if m.ordering_key == f"key-{key}"]
            check.equal(numbers, list(range(key, 500, 5)), "in the order of publishing")


def filters():
    topic, name = fresh(filter='attributes.region = "asia" AND NOT attributes:skip')
    publish(topic, ["a"], region="asia")
    publish(topic, ["b"], region="europe")
    publish(topic, ["c"], region="asia", skip="1")
    check.equal([m.message.data for m in pull_until(name, 1)], [b"a"], "what matches comes")
    check.equal(pull(name, wait=False), [], "and nothing else")
    check.refused(exceptions.InvalidArgument, lambda: fresh(filter="attributes..x"), "a bad filter")


def exactly_once():
    topic, name = fresh(enable_exactly_once_delivery=True, ack_deadline_seconds=10)
    publish(topic, [str(i) for i in range(20)])
    outcomes = []

    def handle(message):
        outcomes.append(message.ack_with_response())

    with Receiver(name, handle) as receiver:
        check.true(receiver.wait(20), "all messages come")
        results = {future.result(timeout=60) for future in outcomes}
    check.equal(results, {subscriber_exceptions.AcknowledgeStatus.SUCCESS}, "acks are confirmed")
    publish(topic, ["late"])
    message, = pull_until(name, 1)
    ack(name, [message])
    ack(name, [message])
    publish(topic, ["expired"])
    message, = pull_until(name, 1)
    subscriber.modify_ack_deadline(request={"subscription": name, "ack_deadline_seconds": 0,
                                            "ack_ids": [message.ack_id]})
    newer, = pull_until(name, 1)
    error = check.refused(exceptions.InvalidArgument, lambda: ack(name, [message]), "an old ack id")
    check.equal(error.metadata[message.ack_id], "PERMANENT_FAILURE_INVALID_ACK_ID",
                "ErrorInfo names the id and the reason")
    ack(name, [newer])


def seek_to_time():
    topic, name = fresh(retain_acked_messages=True)
    publish(topic, ["one", "two"])
    ack(name, pull_until(name, 2))
    subscriber.seek(request={"subscription": name, "time": timestamp_pb2.Timestamp(seconds=1)})
    again = pull_until(name, 2)
    check.equal(sorted(m.message.data for m in again), [b"one", b"two"], "back in time")
    future = timestamp_pb2.Timestamp(seconds=int(time.time()) + 3600)
    subscriber.seek(request={"subscription": name, "time": future})
    check.equal(pull(name, wait=False), [], "into the future: all is done")


def topics_and_subscriptions():
    topic = fresh_topic(labels={"team": "orders"},
                        message_retention_duration=duration_pb2.Duration(seconds=3600))
    got = publisher.get_topic(request={"topic": topic})
    check.equal(dict(got.labels), {"team": "orders"}, "labels are kept")
    got.labels["team"] = "other"
    updated = publisher.update_topic(request={
        "topic": got, "update_mask": field_mask_pb2.FieldMask(paths=["labels"])})
    check.equal(dict(updated.labels), {"team": "other"}, "labels are changed")
    check.equal(updated.message_retention_duration.total_seconds(), 3600, "and nothing else")
    names = [subscriber.subscription_path(PROJECT, f"s{i}-" + uuid.uuid4().hex[:8])
             for i in range(5)]
    for name in names:
        subscriber.create_subscription(request={"name": name, "topic": topic})
    listed = publisher.list_topic_subscriptions(request={"topic": topic, "page_size": 2})
    check.equal(sorted(listed), sorted(names), "pages of subscriptions")
    check.true(set(names) <= {s.name for s in subscriber.list_subscriptions(
        request={"project": f"projects/{PROJECT}", "page_size": 3})}, "subscriptions of a project")
    check.true(topic in {t.name for t in publisher.list_topics(
        request={"project": f"projects/{PROJECT}"})}, "topics of a project")
    subscription = subscriber.get_subscription(request={"subscription": names[0]})
    check.equal((subscription.ack_deadline_seconds, subscription.message_retention_duration.days),
                (10, 7), "defaults are told")
    subscription.ack_deadline_seconds = 77
    changed = subscriber.update_subscription(request={
        "subscription": subscription,
        "update_mask": field_mask_pb2.FieldMask(paths=["ack_deadline_seconds"])})
    check.equal(changed.ack_deadline_seconds, 77, "a setting is changed")
    subscription.filter = "attributes:x"
    check.refused(exceptions.InvalidArgument, lambda: subscriber.update_subscription(request={
        "subscription": subscription, "update_mask": field_mask_pb2.FieldMask(paths=["filter"])}),
        "what is fixed")
    check.refused(exceptions.AlreadyExists,
                  lambda: publisher.create_topic(request={"name": topic}), "a second of a name")
    subscriber.delete_subscription(request={"subscription": names[0]})
    check.refused(exceptions.NotFound,
                  lambda: subscriber.get_subscription(request={"subscription": names[0]}),
                  "what is gone")
    publisher.delete_topic(request={"topic": topic})
    check.equal(subscriber.get_subscription(request={"subscription": names[1]}).topic,
                "_deleted-topic_", "the topic of an orphan")


def limits():
    topic, name = fresh()

    def send(*messages):
        return publisher.api.publish(request={"topic": topic, "messages": messages}) \
            if hasattr(publisher, "api") else \
            super(pubsub_v1.PublisherClient, publisher).publish(
                request={"topic": topic, "messages": messages})

    for what, messages in (
            ("an empty message", [{"data": b""}]),
            ("1001 messages", [{"data": b"x"}] * 1001),
            ("101 attributes", [{"attributes": {str(i): "v" for i in range(101)}}]),
            ("a key of 257 bytes", [{"attributes": {"k" * 257: "v"}}]),
            ("a value of 1025 bytes", [{"attributes": {"k": "v" * 1025}}]),
            ("more than 10 MB", [{"data": b"x" * 10_000_001}]),
            ("two ordering keys", [{"data": b"x", "ordering_key": "a"},
                                   {"data": b"x", "ordering_key": "b"}])):
        check.refused(exceptions.InvalidArgument, lambda m=messages: send(*m), what)
    check.equal(len(send({"attributes": {"only": "attributes"}}).message_ids), 1, "no data")
    check.refused(exceptions.InvalidArgument, lambda: pull(name, 0), "max_messages 0")
    for deadline in (-1, 601):
        check.refused(exceptions.InvalidArgument,
                      lambda d=deadline: subscriber.modify_ack_deadline(
                          request={"subscription": name, "ack_ids": ["x"],
                                   "ack_deadline_seconds": d}), f"a deadline of {deadline}")
    check.refused(exceptions.InvalidArgument,
                  lambda: subscriber.acknowledge(request={"subscription": name,
                                                          "ack_ids": ["never made"]}),
                  "a malformed ack id")
    check.refused(exceptions.InvalidArgument, lambda: fresh(ack_deadline_seconds=9), "9 seconds")
    check.refused(exceptions.NotFound,
                  lambda: publish(publisher.topic_path(PROJECT, "nowhere"), ["x"]), "no such topic")
    missing = subscriber.subscription_path(PROJECT, "nowhere")
    check.refused(exceptions.NotFound, lambda: subscriber.subscribe(
        missing, print).result(timeout=30), "streaming from nowhere")
    check.refused(exceptions.MethodNotImplemented, lambda: subscriber.create_snapshot(
        request={"name": f"projects/{PROJECT}/snapshots/snap", "subscription": name}),
        "what is not offered")


def pull_waits():
    topic, name = fresh()
    timer = threading.Timer(0.5, lambda: publish(topic, ["awaited"]))
    timer.start()
    check.equal([m.message.data for m in pull(name)], [b"awaited"], "a waiting pull is answered")
    start = time.monotonic()
    check.refused(exceptions.DeadlineExceeded, lambda: subscriber.pull(
        request={"subscription": name, "max_messages": 1}, timeout=1, retry=None),
        "an empty pull at its deadline")
    check.true(0.5 < time.monotonic() - start < 20, "and neither at once nor for ever")


def two_subscribers_share():
    topic, name = fresh()
    settings = {"flow_control": types.FlowControl(max_messages=50)}
    slow = lambda message: (time.sleep(0.002), message.ack())  # noqa: E731
    with Receiver(name, slow, **settings) as one, Receiver(name, slow, **settings) as other:
        time.sleep(0.5)
        publish(topic, [str(i) for i in range(1000)])
        until = time.monotonic() + 30
        while len(one.messages) + len(other.messages) < 1000 and time.monotonic() < until:
            time.sleep(0.05)
        ids = [m.message_id for m in one.messages + other.messages]
    check.equal((len(ids), len(set(ids))), (1000, 1000), "each message comes to one of them")
    check.true(min(len(one.messages), len(other.messages)) > 100, "both have their share")


if __name__ == "__main__":
    check.true(os.environ.get("PUBSUB_EMULATOR_HOST"), "PUBSUB_EMULATOR_HOST is set")
    sys.exit(check.run([streaming_receive, large_messages, flow_control_is_per_stream,
                        nack_redelivers, lease_expires_and_extends, dead_letters, ordering_keys,
                        filters, exactly_once, seek_to_time, topics_and_subscriptions, limits,
                        pull_waits, two_subscribers_share]))
