package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Partitions and what device mapper and RAID put together are looked through.
func TestDiskBelow(t *testing.T) {
	sys := t.TempDir()
	put := func(file, text string) {
		path := filepath.Join(sys, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	link := func(to, from string) {
		path := filepath.Join(sys, from)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(filepath.Join(sys, to), path); err != nil {
			t.Fatal(err)
		}
	}
	for name, d := range map[string]struct{ cache, rotational, fua string }{
		"pci/sda": {"write back", "1", "0"}, "pci/nvme0n1": {"write through", "0", "1"}, "virtio1/vda": {"write back", "1", "0"},
		"virtual/dm-0": {"write back", "0", "0"},
	} {
		put("devices/"+name+"/queue/write_cache", d.cache)
		put("devices/"+name+"/queue/rotational", d.rotational)
		put("devices/"+name+"/queue/fua", d.fua)
	}
	put("devices/pci/sda/sda1/partition", "1")
	put("devices/pci/sda/sda1/dev", "8:1")
	put("devices/pci/nvme0n1/dev", "259:0")
	link("devices/pci/sda/sda1", "devices/virtual/dm-0/slaves/sda1")
	link("devices/pci/nvme0n1", "devices/virtual/dm-0/slaves/nvme0n1")
	link("devices/pci/sda/sda1", "dev/block/8:1")
	link("devices/pci/nvme0n1", "dev/block/259:0")
	link("devices/virtio1/vda", "dev/block/254:0")
	link("devices/virtual/dm-0", "dev/block/253:0")
	for device, want := range map[string]disk{
		"8:1":   {Device: "sda", Cache: "write back", Rotational: true},
		"259:0": {Device: "nvme0n1", Cache: "write through", FUA: true},
		"254:0": {Device: "vda", Cache: "write back", Rotational: true, Virtual: true},
		"253:0": {Device: "nvme0n1+sda", Cache: "write back", Rotational: true},
		"1:1":   {},
	} {
		var got disk
		if got.look(sys, device); got != want {
			t.Errorf("%s: got %+v, want %+v", device, got, want)
		}
	}
	if got := describeDisk(t.TempDir()); got.Files == "" || strings.HasPrefix(got.Files, "type ") {
		t.Logf("this machine's disk: %+v", got)
	}
}
