package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sluicelog/sluice/bench/floor"
	"github.com/sluicelog/sluice/bench/load"
	"github.com/sluicelog/sluice/bench/receiver"
	"github.com/sluicelog/sluice/bench/sink"
)

// child returns what a child process of the benchmark does, nil when name is not
// one. Servers print the address they listen on.
func child(name string) func(ctx context.Context, args []string) error {
	switch name {
	case "floor":
		return runFloor
	case "load":
		return runLoad
	case "sink":
		return runSink
	case "receive":
		return runReceiver
	}
	return nil
}

func listen() (net.Listener, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err == nil {
		fmt.Println(ln.Addr())
	}
	return ln, err
}

// runFloor serves the floor; args are its directory and its destinations.
func runFloor(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("floor: no directory")
	}
	file, err := os.Create(filepath.Join(args[0], "log"))
	if err != nil {
		return err
	}
	defer file.Close()
	f := floor.New(file)
	g, ctx := errgroup.WithContext(ctx)
	for _, url := range args[1:] {
		g.Go(func() error { f.Forward(ctx, url); return nil })
	}
	ln, err := listen()
	if err != nil {
		return err
	}
	server := &http.Server{Handler: f, ReadHeaderTimeout: 10 * time.Second}
	defer context.AfterFunc(ctx, func() { server.Close() })()
	g.Go(func() error {
		if err := server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	return g.Wait()
}

// runLoad sends what its argument says, as JSON, and prints the result as JSON.
func runLoad(ctx context.Context, args []string) error {
	var config load.Config
	if err := json.Unmarshal([]byte(strings.Join(args, " ")), &config); err != nil {
		return fmt.Errorf("load: %w", err)
	}
	result, err := load.Run(ctx, config)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(result)
}

// runReceiver receives as its first argument says; the second is a folder for it.
// It prints the address of its counts and the one to deliver to.
func runReceiver(ctx context.Context, args []string) error {
	if len(args) != 2 {
		return errors.New("receive: want a name and a folder")
	}
	return receiver.Run(ctx, args[0], args[1], os.Stdout)
}

func runSink(ctx context.Context, _ []string) error {
	ln, err := listen()
	if err != nil {
		return err
	}
	return new(sink.Sink).Serve(ctx, ln)
}
