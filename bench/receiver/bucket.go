package receiver

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/sluicelog/sluice/bench/sink"
	"github.com/sluicelog/sluice/destination/s3/s3test"
)

// BucketName is the bucket that [Bucket] has. Who delivers to it is the root user
// of the server.
const (
	BucketName      = "bench"
	AccessKeyID     = "root-key-id"
	SecretAccessKey = "root-secret-access-key"
)

// keep runs an S3 server over the folder dir.
func keep(ctx context.Context, dir string, out io.Writer) error {
	server, err := s3test.Start(ctx, dir)
	if err != nil {
		return err
	}
	defer server.Stop()
	if server.AccessKeyID != AccessKeyID || server.Secret != SecretAccessKey {
		return fmt.Errorf("start S3 server: its root user is %q", server.AccessKeyID)
	}
	if err := server.MakeBucket(ctx, BucketName); err != nil {
		return fmt.Errorf("make bucket: %w", err)
	}
	b := &bucket{dir: filepath.Join(dir, "data", BucketName), known: map[string]bool{}}
	return serveStats(ctx, out, strings.TrimPrefix(server.URL, "http://"), b.stats)
}

// bucket counts the events in the objects of a bucket, which are files that appear
// when they are complete and never change.
type bucket struct {
	dir string

	mu    sync.Mutex // guards what follows
	known map[string]bool
	sink  sink.Sink
}

type object struct {
	path string
	at   time.Time // when its last byte was written
}

// stats reads the objects that came since the last time.
func (b *bucket) stats(ctx context.Context, upto uint64) (sink.Stats, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	objects, err := b.fresh()
	if err != nil {
		return sink.Stats{}, fmt.Errorf("list objects: %w", err)
	}
	for _, o := range objects {
		if err := context.Cause(ctx); err != nil {
			return sink.Stats{}, err
		}
		content, err := unpack(o.path)
		if err != nil {
			return sink.Stats{}, fmt.Errorf("read object: %w", err)
		}
		b.sink.Count(BucketPath, content, o.at)
		b.known[o.path] = true
	}
	return b.sink.Stats(upto), nil
}

// fresh returns the objects that are not known, in the order of their writing.
func (b *bucket) fresh() (list []object, err error) {
	err = filepath.WalkDir(b.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".gz" || b.known[path] {
			return err
		}
		info, err := d.Info()
		if err == nil {
			list = append(list, object{path, info.ModTime()})
		}
		return err
	})
	slices.SortFunc(list, func(x, y object) int { return cmp.Or(x.at.Compare(y.at), cmp.Compare(x.path, y.path)) })
	return list, err
}

func unpack(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	zip, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(zip)
}
