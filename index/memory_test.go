package index_test

import (
	"testing"

	"github.com/sluicelog/sluice/index"
	"github.com/sluicelog/sluice/index/indextest"
)

func TestMemory(t *testing.T) {
	engines := map[string]*index.Memory{}
	indextest.Test(t, func(_ *testing.T, dir string) index.Engine {
		if m := engines[dir]; m != nil {
			engines[dir] = m.Reopen()
		} else {
			engines[dir] = index.NewMemory()
		}
		return engines[dir]
	})
}
