// Google's own in-memory Pub/Sub, with a file's lines published to it: `pstest FILE`.
// Prints its address, serves until standard input ends, then prints what became of the messages as
// one line of JSON.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/pubsub/v2/pstest"
)

const (
	topic        = "projects/demo/topics/orders-stream"
	subscription = "projects/demo/subscriptions/orders-millrace"
)

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "pstest:", err)
		os.Exit(1)
	}
}

func main() {
	file, err := os.Open(os.Args[1])
	fail(err)
	server := pstest.NewServer()
	_, err = server.GServer.CreateTopic(context.Background(), &pubsubpb.Topic{Name: topic})
	fail(err)
	_, err = server.GServer.CreateSubscription(context.Background(),
		&pubsubpb.Subscription{Name: subscription, Topic: topic, AckDeadlineSeconds: 60})
	fail(err)
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		server.Publish(topic, append([]byte{}, lines.Bytes()...), nil)
	}
	fail(lines.Err())
	fmt.Println(server.Addr)
	io.Copy(io.Discard, os.Stdin)
	acked, deliveries := 0, 0
	messages := server.Messages()
	for _, message := range messages {
		deliveries += message.Deliveries
		if message.Acks > 0 {
			acked++
		}
	}
	json.NewEncoder(os.Stdout).Encode(map[string]int{
		"published": len(messages), "acked": acked, "deliveries": deliveries})
}
