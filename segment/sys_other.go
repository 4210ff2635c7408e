//go:build !linux

package segment

import (
	"errors"
	"os"
)

func dataSync(f *os.File) error { return f.Sync() }

func uncache(*os.File) {}

func allocate(*os.File, int64) error { return errors.ErrUnsupported }
