package sqlite

import (
	"testing"

	"github.com/sluicelog/sluice/index"
	"github.com/sluicelog/sluice/index/indextest"
)

func openIndex(t *testing.T, dir string) index.Engine {
	t.Helper()
	x, err := OpenIndex(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestIndex(t *testing.T) { indextest.Test(t, openIndex) }
