// Package s3test runs versitygw, an S3 server over a folder, on loopback. The
// program is a module of its own (testservers/versitygw), so that nothing of it
// gets into Sluice's; scripts/prepare builds it into bin/testservers, and the
// first one who needs it does when it is not there.
package s3test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// Region is what the server says that it is.
const Region = "eu-test-1"

// Server is a running server. Its root user may do everything.
type Server struct {
	URL         string // http://127.0.0.1:PORT
	AccessKeyID string
	Secret      string

	health  string // path that this server alone knows
	program string
	folder  string
	command *exec.Cmd
	output  bytes.Buffer
	ended   chan struct{}
}

// Run starts a server that is stopped when the test ends.
func Run(t testing.TB) *Server {
	t.Helper()
	s, err := Start(t.Context(), t.TempDir())
	if err != nil {
		t.Fatalf("start an S3 server: %v", err)
	}
	t.Cleanup(s.Stop)
	return s
}

// Start starts a server that keeps its buckets in folder, at a free port. An empty
// folder is a new server, any other one goes on with what is in it.
func Start(ctx context.Context, folder string) (*Server, error) {
	program, err := build(ctx)
	if err != nil {
		return nil, err
	}
	for range 5 { // another process may take the port first
		s := &Server{AccessKeyID: "root-key-id", Secret: "root-secret-access-key", health: "/" + rand.Text(), program: program, folder: folder}
		if err = s.start(ctx); err == nil {
			return s, nil
		}
	}
	return nil, err
}

func (s *Server) start(ctx context.Context) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	for _, name := range []string{"data", "meta", "iam"} {
		if err := os.MkdirAll(filepath.Join(s.folder, name), 0o700); err != nil {
			return err
		}
	}
	address := fmt.Sprintf("127.0.0.1:%d", port)
	s.URL = "http://" + address
	s.command = exec.Command(s.program, "--port", address, "--region", Region, "--keep-alive", "--quiet",
		"--iam-dir", filepath.Join(s.folder, "iam"), "--iam-cache-disable", "--health", s.health,
		"posix", "--sidecar", filepath.Join(s.folder, "meta"), filepath.Join(s.folder, "data"))
	s.command.Env = []string{"ROOT_ACCESS_KEY=" + s.AccessKeyID, "ROOT_SECRET_KEY=" + s.Secret, "HOME=" + s.folder}
	s.command.Stdout, s.command.Stderr = &s.output, &s.output
	if err := s.command.Start(); err != nil {
		return err
	}
	s.ended = make(chan struct{})
	go func() {
		defer close(s.ended)
		_ = s.command.Wait() // it ends by a signal
	}()
	if err := s.ready(ctx); err != nil {
		s.Stop()
		return fmt.Errorf("%w; it said: %s", err, strings.TrimSpace(s.output.String()))
	}
	return nil
}

// ready waits until the server answers, and not somebody else who has its port.
func (s *Server) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+s.health, nil)
		if err != nil {
			return err
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-tick.C:
		case <-s.ended:
			return errors.New("the server ended")
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Stop kills the server and waits for its end. What it accepted stays in its
// folder.
func (s *Server) Stop() {
	_ = s.command.Process.Kill() // it may have ended
	<-s.ended
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// Client returns a client of the SDK that acts as the root user.
func (s *Server) Client() *s3.Client {
	return s3.New(s3.Options{
		Region: Region, BaseEndpoint: &s.URL, UsePathStyle: true, Retryer: aws.NopRetryer{},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: s.AccessKeyID, SecretAccessKey: s.Secret}, nil
		}),
	})
}

// MakeBucket makes a bucket.
func (s *Server) MakeBucket(ctx context.Context, bucket string) error {
	_, err := s.Client().CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &bucket})
	return err
}

// MakeUser makes a user that may do with the bucket what the actions name,
// "s3:PutObject" for example, and nothing else. It replaces the bucket's policy.
func (s *Server) MakeUser(ctx context.Context, bucket, accessKeyID, secret string, actions ...string) error {
	admin := exec.CommandContext(ctx, s.program, "admin", "--access", s.AccessKeyID, "--secret", s.Secret,
		"--endpoint-url", s.URL, "--region", Region, "create-user", "--access", accessKeyID, "--secret", secret, "--role", "user")
	admin.Env = []string{"HOME=" + s.folder}
	if out, err := admin.CombinedOutput(); err != nil {
		return fmt.Errorf("create user: %w: %s", err, out)
	}
	policy := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":[%q]},"Action":["%s"],"Resource":["arn:aws:s3:::%s/*"]}]}`,
		accessKeyID, strings.Join(actions, `","`), bucket)
	_, err := s.Client().PutBucketPolicy(ctx, &s3.PutBucketPolicyInput{Bucket: &bucket, Policy: &policy})
	return err
}

// Keys returns the keys in a bucket that begin with prefix, in order.
func (s *Server) Keys(ctx context.Context, bucket, prefix string) ([]string, error) {
	var keys []string
	pages := s3.NewListObjectsV2Paginator(s.Client(), &s3.ListObjectsV2Input{Bucket: &bucket, Prefix: &prefix})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for i := range page.Contents {
			keys = append(keys, *page.Contents[i].Key)
		}
	}
	return keys, nil
}
