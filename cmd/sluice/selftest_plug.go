package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/sluicelog/sluice/segment"
)

// Whether a disk keeps what it says that it has written, only a loss of power can
// tell. So one command writes numbered records, each of them synced before its
// number is shown, until somebody pulls the plug; another one, after the start,
// looks whether all are there up to the number that was read last.

// plugFile is where the records are, in the folder that is tested.
const plugFile = "selftest-records"

// plugPause lies between two records, so that a number can be read.
const plugPause = 10 * time.Millisecond

// plugRecord makes a record: a line of a fixed length, with its number, what all
// records of one run have in common, and a checksum.
func plugRecord(n uint64, run string) string {
	text := fmt.Sprintf("%012d %s", n, run)
	return fmt.Sprintf("%s %08x\n", text, crc32.Checksum([]byte(text), crc32.MakeTable(crc32.Castagnoli)))
}

const plugRun = 16 // digits of what a run's records have in common

// writePlug writes records until ctx ends, and shows the number of each as soon as
// it is synced.
func writePlug(ctx context.Context, dir string, out io.Writer) error {
	path := filepath.Join(dir, plugFile)
	f, err := segment.OS().Create(path)
	if errors.Is(err, fs.ErrExist) {
		return advised{fmt.Errorf("%s is there from an earlier test", path), "Look at it with --verify NUMBER, and remove it."}
	}
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // everything is synced
	if err := segment.OS().SyncDir(dir); err != nil {
		return err
	}
	run := fmt.Sprintf("%0*x", plugRun, rand.Uint64())
	pause := time.NewTicker(plugPause)
	defer pause.Stop()
	for n, end := uint64(1), int64(0); ctx.Err() == nil; n++ {
		record := plugRecord(n, run)
		if _, err := f.WriteAt([]byte(record), end); err != nil {
			return err
		}
		if err := f.Sync(); err != nil {
			return err
		}
		end += int64(len(record))
		if _, err := fmt.Fprintln(out, n); err != nil {
			return err
		}
		select {
		case <-pause.C:
		case <-ctx.Done():
		}
	}
	return nil
}

// verifyPlug looks whether all records are there up to a number. What is behind
// may be there or not, in part or whole.
func verifyPlug(dir string, last uint64, out io.Writer) error {
	path := filepath.Join(dir, plugFile)
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) && last > 0 {
		return fmt.Errorf("%s is gone, with %d records that were on disk: unless --verify has removed it before, do not trust this disk with anything", path, last)
	}
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // it was only read
	in := bufio.NewReader(f)
	record := make([]byte, len(plugRecord(0, hex.EncodeToString(make([]byte, plugRun/2)))))
	run := ""
	var n uint64
	for ; ; n++ {
		if _, err := io.ReadFull(in, record); err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				break
			}
			return fmt.Errorf("read record %d: %w", n+1, err)
		}
		if run == "" {
			run = string(record[13 : 13+plugRun])
		}
		if string(record) != plugRecord(n+1, run) {
			break
		}
	}
	if n < last {
		return fmt.Errorf("records are there up to %d, and %d was on disk: the disk said \"written\" too early, and a power cut takes accepted events. "+
			"Turn its write cache off (hdparm -W0 for many), mend what is between, or take another disk", n, last)
	}
	_, err = fmt.Fprintf(out, "All records up to %d are there, and %d more: the disk kept what it had said was written.\n", last, n-last)
	if err == nil {
		err = os.Remove(path)
	}
	return err
}
