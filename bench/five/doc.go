// Package five delivers the same events to destinations of all five kinds at
// once, while each in turn refuses, hangs, dies and comes back, and the server is
// killed again and again. In the end it compares what every receiver holds, every
// ledger and every quarantine with its own books, and the order in which events
// came first with the log.
//
// It stands outside of the server, as package oracle does: another process, made
// and asked through the native API only. Where oracle plays with streams and
// filters before receivers of its own, here are the kinds: a webhook receiver, an
// HTTP Event Collector, an AMQP broker, an S3 server and Cloud Logging with its
// token endpoint. All of it is in the test.
package five
