// Command otelhec is an OpenTelemetry Collector's splunk_hec receiver alone, for
// tests: it prints each log record that it accepts as a line of JSON. With -ack
// it has the Collector's ack extension.
//
// It prints "ready" when it listens, and ends when its standard input does.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"sync"

	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/ackextension"
	"github.com/open-telemetry/opentelemetry-collector-contrib/receiver/splunkhecreceiver"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configtls"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/otel/metric/noop"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
	"go.uber.org/zap"
)

// record is a line of the output.
type record struct {
	Time       int64 `json:"time"` // nanoseconds since 1970
	Attributes any   `json:"attributes"`
	Event      any   `json:"event"`
}

// printer is the consumer behind the receiver.
type printer struct {
	mu  sync.Mutex
	out *json.Encoder
}

func (*printer) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

// ConsumeLogs implements consumer.Logs.
func (p *printer) ConsumeLogs(_ context.Context, logs plog.Logs) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	for _, resource := range logs.ResourceLogs().All() {
		attributes := resource.Resource().Attributes().AsRaw()
		for _, scope := range resource.ScopeLogs().All() {
			for _, r := range scope.LogRecords().All() {
				errs = append(errs, p.out.Encode(record{int64(r.Timestamp()), attributes, r.Body().AsRaw()}))
			}
		}
	}
	return errors.Join(errs...)
}

// host knows the extensions.
type host map[component.ID]component.Component

func (h host) GetExtensions() map[component.ID]component.Component { return h }

func telemetry() component.TelemetrySettings {
	return component.TelemetrySettings{Logger: zap.NewNop(), MeterProvider: noop.NewMeterProvider(), TracerProvider: tracenoop.NewTracerProvider()}
}

func main() {
	listen := flag.String("listen", "127.0.0.1:8088", "`address` to listen on")
	cert := flag.String("cert", "", "certificate `file`; plain HTTP without one")
	key := flag.String("key", "", "key `file` of the certificate")
	ack := flag.Bool("ack", false, "acknowledge")
	flag.Parse()
	if err := run(context.Background(), *listen, *cert, *key, *ack); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, listen, cert, key string, ack bool) error {
	factory := splunkhecreceiver.NewFactory()
	config := factory.CreateDefaultConfig().(*splunkhecreceiver.Config)
	config.Endpoint = listen
	if cert != "" {
		config.TLS = &configtls.ServerConfig{Config: configtls.Config{CertFile: cert, KeyFile: key}}
	}
	h := host{}
	if ack {
		id := component.MustNewID("ack")
		e, err := newAck(ctx, id)
		if err != nil {
			return err
		}
		h[id], config.Extension = e, &id
	}
	settings := receiver.Settings{ID: component.NewID(factory.Type()), TelemetrySettings: telemetry()}
	r, err := factory.CreateLogs(ctx, settings, config, &printer{out: json.NewEncoder(os.Stdout)})
	if err != nil {
		return err
	}
	if err := r.Start(ctx, h); err != nil {
		return err
	}
	fmt.Println("ready")
	_, err = io.Copy(io.Discard, os.Stdin)
	return errors.Join(err, r.Shutdown(ctx))
}

func newAck(ctx context.Context, id component.ID) (component.Component, error) {
	factory := ackextension.NewFactory()
	return factory.Create(ctx, extension.Settings{ID: id, TelemetrySettings: telemetry()}, factory.CreateDefaultConfig())
}
