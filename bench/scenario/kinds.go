package scenario

import (
	"net"
	"strconv"

	"github.com/sluicelog/sluice/bench/load"
	"github.com/sluicelog/sluice/bench/receiver"
	"github.com/sluicelog/sluice/bench/report"
	"github.com/sluicelog/sluice/bench/target"
	"github.com/sluicelog/sluice/destination/cloudlogging/cloudloggingtest"
	"github.com/sluicelog/sluice/destination/eventhubs/eventhubstest"
	"github.com/sluicelog/sluice/destination/s3/s3test"
)

// kind compares a destination of a kind with one HTTP destination that gets
// batches, under the same load. A receiver stands for another machine: what it
// takes of this one while it receives shows in the rates, and is told beside what
// the server needs itself. To unpack what came is left for later.
func kind(name, title string, config load.Config, v Variant, measures ...report.Measure) Scenario {
	v.Name, v.Server, v.Load = "sluice, "+name, Sluice, config
	return Scenario{Name: "kind-" + name, Title: title,
		Base: &Variant{Name: "sluice, http", Server: Sluice, Destinations: healthy(1, 1), Load: config}, Test: &v,
		Measures: append(measures,
			show("cpu s for a million", func(_, test *report.Result) float64 { return test.CPU }),
			show("cpu / http", func(base, test *report.Result) float64 { return over(test.CPU, base.CPU) }),
			show("receiver's cpu s for a million", func(_, test *report.Result) float64 { return test.SinkCPU }),
			memory(indexed))}
}

// one returns the destination of a kind whose events are awaited at path.
func one(path string, d target.Destination) []destination {
	return []destination{{Destination: d, path: path}}
}

func splunk() Scenario {
	return kind("splunk", "HTTP Event Collector over TLS, requests of 100", plain(16, 100),
		Variant{Receiver: receiver.Collector, Destinations: toCollector}, ratio("delivered / http", 0.6, rateDelivered), drained(1))
}

func toCollector(address string) ([]destination, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	number, err := strconv.Atoi(port)
	return one(receiver.CollectorPath, target.Destination{Kind: "splunk",
		Config:  map[string]any{"domain": host, "port": number, "ssl_verify": false},
		Secrets: map[string]string{"token": "0e9a5c5e-6f3b-4b8e-9a55-1d0b7c2f4a10"}}), err
}

func cloudLogging() Scenario {
	return kind("cloudlogging", "Google Cloud Logging without TLS, requests of 100", plain(16, 100),
		Variant{Receiver: receiver.Google, Destinations: toGoogle}, show("delivered / http", deliveredOver), drained(1))
}

func toGoogle(address string) ([]destination, error) {
	account, err := cloudloggingtest.NewAccount("bench-project")
	if err != nil {
		return nil, err
	}
	url := "http://" + address
	return one(receiver.GooglePath, target.Destination{Kind: "cloudlogging",
		Config: map[string]any{"project_id": account.Project, "client_email": account.Email,
			"endpoint": url, "token_url": url + receiver.TokenPath},
		Secrets: map[string]string{"private_key": account.PEM()}}), nil
}

func eventHubs() Scenario {
	return kind("eventhubs", "Azure Event Hubs without TLS (the broker is in Python), requests of 100", plain(16, 100),
		Variant{Receiver: receiver.Hub, Destinations: toHub}, show("delivered / http", deliveredOver), drained(1))
}

func toHub(address string) ([]destination, error) {
	return one(receiver.HubPath, target.Destination{Kind: "eventhubs",
		Config: map[string]any{"name": receiver.HubName},
		Secrets: map[string]string{"connection_string": "Endpoint=sb://" + address + ";SharedAccessKeyName=" + eventhubstest.KeyName +
			";SharedAccessKey=" + eventhubstest.Key + ";UseDevelopmentEmulator=true"}}), nil
}

// objectSeconds is short, so that the last object does not come a minute late.
const objectSeconds = 1

func s3() Scenario {
	return kind("s3", "objects in a bucket, requests of 100", plain(16, 100),
		Variant{Receiver: receiver.Bucket, Destinations: toBucket}, ratio("delivered / http", 0.6, rateDelivered), drained(10))
}

func toBucket(address string) ([]destination, error) {
	return one(receiver.BucketPath, target.Destination{Kind: "s3",
		Config: map[string]any{"bucket": receiver.BucketName, "region": s3test.Region, "endpoint": "http://" + address,
			"access_key_id": receiver.AccessKeyID, "object_seconds": objectSeconds},
		Secrets: map[string]string{"secret_access_key": receiver.SecretAccessKey}}), nil
}

func deliveredOver(base, test *report.Result) float64 { return over(test.Delivered, base.Delivered) }
