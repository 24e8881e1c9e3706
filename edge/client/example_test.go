package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"restraint/edge/client"
)

// One client for the whole ad server, and on each bid one call.
func Example() {
	c, err := client.New(client.Options{
		Addrs:     []string{exampleNode()}, // such as 127.0.0.1:8080, or unix:/run/restraint.sock
		Timeout:   time.Minute,             // 20 ms or so; this example runs on busy machines
		OnFailure: client.Skip,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	ctx := context.Background() // the bid's own

	answer, err := c.Decide(ctx, &client.Request{
		User:       client.User{ID: "u-123"},
		Candidates: []client.Candidate{{Campaign: "brand-x"}, {Campaign: "spring-shoes", Creative: "c-1", Item: "sku-9"}},
		Want:       1,
		Hold:       true, // until the impression, a Release, or the campaign's hold time
	})
	var failed *client.Error
	if errors.As(err, &failed) {
		fmt.Println("count this:", failed.Kind) // and go on: the answer has verdicts all the same
	}
	for i, d := range answer.Decisions {
		fmt.Printf("%d %s %v %q\n", i, d.Campaign, d.Show, d.Reason)
	}

	taken, err := c.Report(ctx, client.Event{Type: client.Impression, Token: answer.Token, Campaign: "spring-shoes", Creative: "c-1", Item: "sku-9"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(taken.Accepted, "counted,", len(taken.Rejected), "rejected")
	// Output:
	// 0 brand-x false "skip"
	// 1 spring-shoes true ""
	// 1 counted, 0 rejected
}

// When no node answers, there is a verdict all the same.
func ExampleClient_Decide_away() {
	c, err := client.New(client.Options{Addrs: []string{"unix:/nonexistent/restraint.sock"}, OnFailure: client.Show})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	answer, err := c.Decide(context.Background(), &client.Request{Candidates: []client.Candidate{{Campaign: "brand-x"}}})
	var failed *client.Error
	fmt.Println(answer.ShowAt(0), answer.FailSafe, errors.As(err, &failed) && failed.Kind == client.Unreachable)
	// Output: true true true
}
