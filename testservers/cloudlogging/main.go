// Command cloudlogging decodes JSON with Google's own published definitions of
// the Cloud Logging API: tests give it what was sent and what the test double
// answered, and it says what Google's types make of it. It is a module of its
// own, so that those types stay out of the main one.
//
// It listens on a free port of 127.0.0.1 and prints its address as one line:
//
//	POST /request  a WriteLogEntriesRequest; answers with it as the types have it
//	POST /details  a JSON list of the details of an error; answers likewise
//
// 400 and the decoder's words mean that the types do not take it. It ends with
// its standard input.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"

	"cloud.google.com/go/logging/apiv2/loggingpb"
	_ "google.golang.org/genproto/googleapis/rpc/errdetails" // the types of details
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// maxBody bounds what is read.
const maxBody = 16 << 20

func main() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("POST /request", answer(decodeRequest))
	http.HandleFunc("POST /details", answer(decodeDetails))
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	fmt.Println("http://" + l.Addr().String())
	log.Fatal(http.Serve(l, nil))
}

func answer(decode func([]byte) ([]byte, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err == nil {
			body, err = decode(body)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		_, _ = w.Write(body) // the test may be gone
	}
}

func decodeRequest(body []byte) ([]byte, error) {
	return through(body, &loggingpb.WriteLogEntriesRequest{})
}

func decodeDetails(body []byte) ([]byte, error) {
	var list []json.RawMessage
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, err
	}
	for i, raw := range list {
		out, err := through(raw, &anypb.Any{})
		if err != nil {
			return nil, fmt.Errorf("detail %d: %w", i, err)
		}
		list[i] = out
	}
	return json.Marshal(list)
}

// through decodes strictly: unknown fields and wrong types are errors.
func through(body []byte, m proto.Message) ([]byte, error) {
	if err := (protojson.UnmarshalOptions{}).Unmarshal(body, m); err != nil {
		return nil, err
	}
	return protojson.Marshal(m)
}
