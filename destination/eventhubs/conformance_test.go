package eventhubs

import (
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/destination/destinationtest"
	"github.com/sluicelog/sluice/destination/eventhubs/eventhubstest"
)

// startBroker starts a broker until the test ends.
func startBroker(t *testing.T) *eventhubstest.Broker {
	t.Helper()
	b, err := eventhubstest.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Errorf("Close: got %v, want nil", err)
		}
	})
	return b
}

func listen(t *testing.T, b *eventhubstest.Broker, o eventhubstest.ListenOptions) *eventhubstest.Listener {
	t.Helper()
	l, err := b.Listen(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// listenTLS returns a listener with a certificate and the pool that trusts it.
func listenTLS(t *testing.T, b *eventhubstest.Broker, o eventhubstest.ListenOptions) (*eventhubstest.Listener, *x509.CertPool) {
	t.Helper()
	certificate, key, pool, err := eventhubstest.Certificate(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	o.Certificate, o.Key = certificate, key
	return listen(t, b, o), pool
}

func withKey(host, name, key string) string {
	return fmt.Sprintf("Endpoint=sb://%s/;SharedAccessKeyName=%s;SharedAccessKey=%s", host, name, key)
}

const emulated = ";UseDevelopmentEmulator=true;"

// openHub returns a destination that is closed when the test ends.
func openHub(t testing.TB, config, connection string, env destination.Env) *Hub {
	t.Helper()
	secrets := destination.Secrets{ConnectionString: connection}
	canonical, err := Kind{}.Check(json.RawMessage(config), secrets, destination.Rules{AllowInsecure: true})
	if err != nil {
		t.Fatalf("Check: got %v, want nil", err)
	}
	dst, err := Kind{}.Open(canonical, secrets, env)
	if err != nil {
		t.Fatalf("Open: got %v, want nil", err)
	}
	return dst.(*Hub)
}

func testEnv() destination.Env {
	return destination.Env{
		Dialer:    destination.NewDialer(destination.DialerConfig{AllowPrivate: true}),
		UserAgent: "Sluice/1.0", Now: time.Now, Namespace: "acme",
	}
}

// answers maps what the suite's receivers do to what the broker does.
var answers = map[destinationtest.Act]string{
	destinationtest.Accept:        "accept",
	destinationtest.Refuse:        "refuse",
	destinationtest.Answer:        "refuse",
	destinationtest.Hang:          "hang",
	destinationtest.ResetBefore:   "cut",
	destinationtest.ResetAfter:    "store-and-cut",
	destinationtest.AcceptThenDie: "store-and-cut",
	destinationtest.Endless:       "store-and-garbage",
}

// TestConformance runs the suite over plain AMQP. A receiver that answers 401
// refuses the token: the script is asked about it as request -1.
func TestConformance(t *testing.T) {
	broker := startBroker(t)
	destinationtest.Test(t, destinationtest.Harness{
		Secrets: []string{eventhubstest.Key},
		Open: func(t *testing.T, address string, env destination.Env) destination.Destination {
			u, err := url.Parse(address)
			if err != nil {
				t.Fatal(err)
			}
			s := withKey(u.Host, eventhubstest.KeyName, eventhubstest.Key)
			if u.Scheme == "amqp" {
				s += emulated
			}
			return openHub(t, `{"name":"hub"}`, s, env)
		},
		Listen: func(t *testing.T, script destinationtest.Script, secure bool) *destinationtest.Receiver {
			r := destinationtest.NewReceiver("", script)
			o := eventhubstest.ListenOptions{
				Refuse: script(-1, destinationtest.Request{Method: "put-token"}).Act == destinationtest.Answer,
				Answer: func(m eventhubstest.Message) string {
					body, err := json.Marshal(m.Events)
					if err != nil {
						t.Errorf("write events: got %v, want nil", err)
					}
					return answers[r.Take(destinationtest.Request{Method: "transfer", URL: m.Hub, Body: body}).Act]
				},
			}
			if secure {
				l, _ := listenTLS(t, broker, o)
				r.URL = "amqps://" + l.Host()
				return r
			}
			r.URL = "amqp://" + listen(t, broker, o).Host()
			return r
		},
		Read: func(t *testing.T, r destinationtest.Request) (payloads [][]byte, id string) {
			var events []eventhubstest.Event
			if err := json.Unmarshal(r.Body, &events); err != nil {
				t.Errorf("read events: got %v, want nil", err)
			}
			for _, e := range events {
				payloads = append(payloads, []byte(e.Body))
				id += e.ID + " "
			}
			return payloads, id
		},
	})
}
