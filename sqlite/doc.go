// Package sqlite keeps records in a file of SQLite: the embedded engine behind
// the ports that hold small things.
//
// [Store] is the driver for control state. It has one connection that writes,
// behind a queue that turns calls made at the same time into one transaction and
// so one fsync, and a few connections that read. The file is in WAL mode with
// synchronous=FULL: a transaction that was committed survives a power cut. Damage
// and loss of the write-ahead log are found when the store is opened.
// SQLite is the pure-Go build of modernc.org/sqlite, so the program stays a
// single binary without cgo.
package sqlite
