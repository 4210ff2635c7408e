package control

import (
	"slices"
	"testing"
)

func TestRenumber(t *testing.T) {
	for _, c := range []struct {
		name        string
		before, now []string
		had, want   []int64
	}{
		{"first", nil, []string{"a", "b"}, nil, []int64{11, 12}},
		{"nothing changes", []string{"a", "b"}, []string{"a", "b"}, []int64{3, 7}, []int64{3, 7}},
		{"another order", []string{"a", "b"}, []string{"b", "a"}, []int64{3, 7}, []int64{7, 3}},
		{"one more", []string{"a"}, []string{"a", "b"}, []int64{3}, []int64{3, 11}},
		{"one less", []string{"a", "b"}, []string{"b"}, []int64{3, 7}, []int64{7}},
		{"renamed", []string{"a", "b"}, []string{"a", "c"}, []int64{3, 7}, []int64{3, 7}},
		{"gone, and another behind", []string{"a", "b"}, []string{"b", "c"}, []int64{3, 7}, []int64{7, 11}},
		{"a name twice", []string{"a", "a"}, []string{"a", "a", "a"}, []int64{3, 7}, []int64{3, 7, 11}},
		{"without numbers", []string{"a", "b"}, []string{"a", "b"}, nil, []int64{11, 12}},
		{"none left", []string{"a"}, nil, []int64{3}, []int64{}},
	} {
		n := numbers{Last: 10}
		if got := n.renumber(c.before, c.had, c.now); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}
