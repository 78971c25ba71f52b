// Google's Go clients against `millrace local`: Pub/Sub v2 and the managed writer.
// tests/prove/interop builds and runs it with PUBSUB_EMULATOR_HOST, MILLRACE_STORAGE and
// MILLRACE_REST set.
package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"cloud.google.com/go/bigquery"
	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"
	"cloud.google.com/go/bigquery/storage/managedwriter"
	"cloud.google.com/go/bigquery/storage/managedwriter/adapt"
	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

const project = "interop"

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func check(good bool, what string, values ...any) {
	if !good {
		panic(fmt.Sprint(what, ": ", values))
	}
}

func fresh(ctx context.Context, client *pubsub.Client, settings *pubsubpb.Subscription) (string, string) {
	stamp := time.Now().UnixNano()
	topic := fmt.Sprintf("projects/%s/topics/go-%d", project, stamp)
	must(client.TopicAdminClient.CreateTopic(ctx, &pubsubpb.Topic{Name: topic}))
	settings.Name = fmt.Sprintf("projects/%s/subscriptions/go-%d", project, stamp)
	settings.Topic = topic
	must(client.SubscriptionAdminClient.CreateSubscription(ctx, settings))
	return topic, settings.Name
}

func publish(ctx context.Context, client *pubsub.Client, topic string, count int, key string) {
	publisher := client.Publisher(topic)
	publisher.EnableMessageOrdering = key != ""
	defer publisher.Stop()
	var results []*pubsub.PublishResult
	for i := range count {
		results = append(results, publisher.Publish(ctx,
			&pubsub.Message{Data: []byte(fmt.Sprint(i)), OrderingKey: key}))
	}
	for _, result := range results {
		must(result.Get(ctx))
	}
}

// receive hands each message to handle, until it has seen count of them.
func receive(ctx context.Context, client *pubsub.Client, name string, count int,
	handle func(*pubsub.Message)) []string {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var lock sync.Mutex
	var seen []string
	err := client.Subscriber(name).Receive(ctx, func(_ context.Context, m *pubsub.Message) {
		handle(m)
		lock.Lock()
		defer lock.Unlock()
		seen = append(seen, string(m.Data))
		if len(seen) == count {
			cancel()
		}
	})
	if err != nil {
		panic(err)
	}
	check(len(seen) >= count, "messages", len(seen), "of", count)
	return seen
}

func streaming(ctx context.Context, client *pubsub.Client) {
	topic, name := fresh(ctx, client, &pubsubpb.Subscription{})
	publish(ctx, client, topic, 3000, "")
	receive(ctx, client, name, 3000, func(m *pubsub.Message) { m.Ack() })
}

func nacks(ctx context.Context, client *pubsub.Client) {
	topic, name := fresh(ctx, client, &pubsubpb.Subscription{})
	publish(ctx, client, topic, 1, "")
	times := 0
	receive(ctx, client, name, 3, func(m *pubsub.Message) {
		if times++; times < 3 {
			m.Nack()
		} else {
			m.Ack()
		}
	})
}

func ordering(ctx context.Context, client *pubsub.Client) {
	topic, name := fresh(ctx, client, &pubsubpb.Subscription{EnableMessageOrdering: true})
	publish(ctx, client, topic, 300, "key")
	for i, data := range receive(ctx, client, name, 300, func(m *pubsub.Message) { m.Ack() }) {
		check(data == fmt.Sprint(i), "order at", i, data)
	}
}

func exactlyOnce(ctx context.Context, client *pubsub.Client) {
	topic, name := fresh(ctx, client, &pubsubpb.Subscription{EnableExactlyOnceDelivery: true})
	publish(ctx, client, topic, 20, "")
	var lock sync.Mutex
	var results []*pubsub.AckResult
	receive(ctx, client, name, 20, func(m *pubsub.Message) {
		lock.Lock()
		defer lock.Unlock()
		results = append(results, m.AckWithResult())
	})
	for _, result := range results {
		status := must(result.Get(ctx))
		check(status == pubsub.AcknowledgeStatusSuccess, "ack", status)
	}
}

func freshTable(ctx context.Context) (string, *bigquery.Table) {
	client := must(bigquery.NewClient(ctx, project,
		option.WithEndpoint(os.Getenv("MILLRACE_REST")+"/bigquery/v2/"), option.WithoutAuthentication()))
	dataset := client.Dataset(fmt.Sprintf("go_%d", time.Now().UnixNano()))
	if err := dataset.Create(ctx, nil); err != nil {
		panic(err)
	}
	table := dataset.Table("t")
	if err := table.Create(ctx, &bigquery.TableMetadata{Schema: bigquery.Schema{
		{Name: "id", Type: bigquery.StringFieldType}}}); err != nil {
		panic(err)
	}
	return fmt.Sprintf("projects/%s/datasets/%s/tables/t", project, dataset.DatasetID), table
}

// rows gives the row type of the table, and `count` rows of it.
func rows(count int) (*descriptorpb.DescriptorProto, [][]byte) {
	schema := must(adapt.BQSchemaToStorageTableSchema(bigquery.Schema{
		{Name: "id", Type: bigquery.StringFieldType}}))
	descriptor := must(adapt.StorageSchemaToProto2Descriptor(schema, "row"))
	message := descriptor.(protoreflect.MessageDescriptor)
	var encoded [][]byte
	for i := range count {
		row := dynamicpb.NewMessage(message)
		row.Set(message.Fields().ByName("id"), protoreflect.ValueOfString(fmt.Sprint(i)))
		encoded = append(encoded, must(proto.Marshal(row)))
	}
	return must(adapt.NormalizeDescriptor(message)), encoded
}

func managedWriter(ctx context.Context, kind managedwriter.StreamType) {
	name, table := freshTable(ctx)
	writer := must(managedwriter.NewClient(ctx, project,
		option.WithEndpoint(os.Getenv("MILLRACE_STORAGE")), option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials()))))
	defer writer.Close()
	descriptor, encoded := rows(100)
	stream := must(writer.NewManagedStream(ctx, managedwriter.WithDestinationTable(name),
		managedwriter.WithType(kind), managedwriter.WithSchemaDescriptor(descriptor)))
	var results []*managedwriter.AppendResult
	for i := range 10 {
		var options []managedwriter.AppendOption
		if kind != managedwriter.DefaultStream {
			options = append(options, managedwriter.WithOffset(int64(i*100)))
		}
		results = append(results, must(stream.AppendRows(ctx, encoded, options...)))
	}
	for i, result := range results {
		offset := must(result.GetResult(ctx))
		check(kind == managedwriter.DefaultStream || offset == int64(i*100), "offset", i, offset)
	}
	if kind == managedwriter.PendingStream {
		check(must(stream.Finalize(ctx)) == 1000, "finalize")
		response := must(writer.BatchCommitWriteStreams(ctx, &storagepb.BatchCommitWriteStreamsRequest{
			Parent: name, WriteStreams: []string{stream.StreamName()}}))
		check(len(response.GetStreamErrors()) == 0, "commit", response)
	}
	metadata := must(table.Metadata(ctx))
	check(metadata.NumRows == 1000, "rows", metadata.NumRows)
}

type testCase struct {
	name string
	run  func()
}

// attempt runs one case; a panic is its failure.
func attempt(one testCase) (good bool) {
	start := time.Now()
	defer func() {
		if problem := recover(); problem != nil {
			fmt.Printf("FAILED %s (%.1f s): %v\n", one.name, time.Since(start).Seconds(), problem)
			return
		}
		fmt.Printf("ok     %s (%.1f s)\n", one.name, time.Since(start).Seconds())
		good = true
	}()
	one.run()
	return
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	client := must(pubsub.NewClient(ctx, project))
	defer client.Close()
	cases := []testCase{
		{"go_streaming", func() { streaming(ctx, client) }},
		{"go_nacks", func() { nacks(ctx, client) }},
		{"go_ordering", func() { ordering(ctx, client) }},
		{"go_exactly_once", func() { exactlyOnce(ctx, client) }},
		{"go_default_stream", func() { managedWriter(ctx, managedwriter.DefaultStream) }},
		{"go_committed_stream", func() { managedWriter(ctx, managedwriter.CommittedStream) }},
		{"go_pending_stream", func() { managedWriter(ctx, managedwriter.PendingStream) }},
	}
	passed := 0
	for _, one := range cases {
		if attempt(one) {
			passed++
		}
	}
	fmt.Printf("%d passed, %d failed\n", passed, len(cases)-passed)
	if passed < len(cases) {
		os.Exit(1)
	}
}
