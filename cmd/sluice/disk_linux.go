package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// describeDisk tells what the system knows of the disk that holds path.
func describeDisk(path string) disk {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return disk{Files: "unknown"}
	}
	names := map[int64]string{
		unix.EXT4_SUPER_MAGIC: "ext4", unix.XFS_SUPER_MAGIC: "xfs", unix.BTRFS_SUPER_MAGIC: "btrfs", unix.TMPFS_MAGIC: "tmpfs",
		unix.RAMFS_MAGIC: "ramfs", unix.NFS_SUPER_MAGIC: "nfs", unix.OVERLAYFS_SUPER_MAGIC: "overlay", unix.FUSE_SUPER_MAGIC: "fuse",
		unix.F2FS_SUPER_MAGIC: "f2fs", unix.V9FS_MAGIC: "9p", unix.SMB2_SUPER_MAGIC: "smb", 0x2fc12fc1: "zfs",
	}
	d := disk{Files: names[int64(st.Type)]}
	if d.Files == "" {
		d.Files = fmt.Sprintf("type %x", st.Type)
	}
	var info unix.Stat_t
	if err := unix.Stat(path, &info); err != nil {
		return d
	}
	device := fmt.Sprintf("%d:%d", unix.Major(info.Dev), unix.Minor(info.Dev))
	if unix.Major(info.Dev) == 0 { // as btrfs has it
		device = mountedDevice(device)
	}
	if device != "" {
		d.look("/sys", device)
	}
	return d
}

// mountedDevice returns the number of the device that a file system without one of
// its own is on; "" when there is none.
func mountedDevice(number string) string {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(mounts)) {
		// See proc_pid_mountinfo(5): the source stands two behind the dash.
		before, after, _ := strings.Cut(line, " - ")
		fields, source := strings.Fields(before), strings.Fields(after)
		if len(fields) < 3 || fields[2] != number || len(source) < 2 || !strings.HasPrefix(source[1], "/dev/") {
			continue
		}
		var info unix.Stat_t
		if err := unix.Stat(source[1], &info); err == nil {
			return fmt.Sprintf("%d:%d", unix.Major(info.Rdev), unix.Minor(info.Rdev))
		}
	}
	return ""
}

// look reads what the kernel tells of a device, or of those that it consists of.
func (d *disk) look(sys, device string) {
	path, err := filepath.EvalSymlinks(filepath.Join(sys, "dev/block", device))
	if err != nil {
		return
	}
	if _, err := os.Stat(filepath.Join(path, "partition")); err == nil {
		path = filepath.Dir(path)
	}
	below, _ := filepath.Glob(filepath.Join(path, "slaves/*/dev")) // of device mapper and RAID; none otherwise
	for _, file := range below {
		d.look(sys, attribute(file))
	}
	if len(below) > 0 {
		return
	}
	cache := attribute(filepath.Join(path, "queue/write_cache"))
	if d.Device == "" {
		d.Device, d.Cache, d.FUA = filepath.Base(path), cache, true
	} else if !slices.Contains(strings.Split(d.Device, "+"), filepath.Base(path)) {
		d.Device += "+" + filepath.Base(path)
	}
	if cache == volatileCache {
		d.Cache = cache
	}
	d.Rotational = d.Rotational || attribute(filepath.Join(path, "queue/rotational")) == "1"
	d.FUA = d.FUA && attribute(filepath.Join(path, "queue/fua")) == "1"
	d.Virtual = d.Virtual || isVirtual(path)
}

// isVirtual reports whether a device is made by software, as far as its name or its
// maker tell.
func isVirtual(path string) bool {
	about := path + " " + attribute(filepath.Join(path, "device/vendor")) + " " + attribute(filepath.Join(path, "device/model"))
	return slices.ContainsFunc([]string{"/virtio", "/virtual/", "/vbd-", "/vmbus", "/VMBUS", "QEMU", "VMware", "VBOX", "Virtual", "Msft", "Elastic Block Store", "PersistentDisk"},
		func(word string) bool { return strings.Contains(about, word) })
}

func attribute(path string) string {
	text, _ := os.ReadFile(path) // what is not told is ""
	return strings.TrimSpace(string(text))
}
