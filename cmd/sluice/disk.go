package main

import (
	"fmt"
	"time"
)

// disk is what the system tells of the one that a folder is on. Of several below
// one another or side by side, as with LVM and RAID, the worst counts.
type disk struct {
	Files      string `json:"file_system"`
	Device     string `json:"device,omitempty"`      // "sda", or several; "" when it is not known
	Cache      string `json:"write_cache,omitempty"` // as the kernel has it: volatileCache, or "write through"
	Rotational bool   `json:"rotational,omitempty"`
	FUA        bool   `json:"fua,omitempty"` // single writes can pass the cache
	Virtual    bool   `json:"virtual,omitempty"`
}

// volatileCache is the word for one that loses what was not flushed.
const volatileCache = "write back"

// What a flush takes at least where it reaches the medium.
const (
	leastRotation = time.Millisecond       // a quarter of a turn at 15,000 a minute
	leastFlash    = 100 * time.Microsecond // one page of flash, in its quickest mode
)

// doubt says why a sync that took so long may not have reached the medium; "" when
// nothing speaks for that.
func (d *disk) doubt(sync time.Duration) string {
	const pull = ` "sluice selftest --write" and a pulled plug tell.`
	switch {
	case d.Cache != volatileCache && sync < tooFast:
		return fmt.Sprintf("A sync takes %v, which is less than a disk needs to write. That is right for one whose cache survives the loss of power, and for a volume "+
			"whose host promises that; otherwise the disk says \"written\" too early, and a power cut can take accepted events.%s", sync, pull)
	case d.Cache != volatileCache:
		return ""
	case d.Virtual && sync < leastFlash:
		return fmt.Sprintf("A sync takes %v on a virtual disk with a cache that has to be flushed (%q), which is less than flash needs. Its host may keep the cache through a loss of power, as many clouds do; "+
			"or it may not pass flushes on (\"cache=unsafe\" of QEMU, for example): ask whoever runs the host.%s", sync, d.Cache, pull)
	case !d.Virtual && d.Rotational && sync < leastRotation:
		return fmt.Sprintf("A sync takes %v on a rotating disk whose cache loses what was not flushed (%q), which is less than a part of a turn. Unless a controller with a battery is between, "+
			"flushes do not reach the disk, and a power cut can take accepted events.%s", sync, d.Cache, pull)
	case !d.Virtual && !d.Rotational && sync < leastFlash:
		return fmt.Sprintf("A sync takes %v on a disk whose cache loses what was not flushed (%q), as it says itself, which is less than flash needs. Drives with capacitors against the loss of power can do that; "+
			"others say \"written\" too early, and a power cut can take accepted events.%s", sync, d.Cache, pull)
	}
	return ""
}

// words describes the disk in the report.
func (d *disk) words() string {
	s := d.Files
	if d.Device != "" {
		s += " on " + d.Device
	}
	for _, is := range []struct {
		so   bool
		word string
	}{{d.Virtual, "virtual"}, {d.Rotational && !d.Virtual, "rotating"}, {d.Cache != "", "write cache: " + d.Cache}, {d.FUA, "FUA"}} {
		if is.so {
			s += ", " + is.word
		}
	}
	return s
}
