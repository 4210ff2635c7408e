package main

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// describeDisk names the file system that holds path, and says what the kernel
// knows of its disk's cache: "write back" for one that loses what was not synced,
// "write through" for none, or one that keeps it.
func describeDisk(path string) (files, cache string) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return "unknown", ""
	}
	names := map[int64]string{
		unix.EXT4_SUPER_MAGIC: "ext4", unix.XFS_SUPER_MAGIC: "xfs", unix.BTRFS_SUPER_MAGIC: "btrfs", unix.TMPFS_MAGIC: "tmpfs",
		unix.RAMFS_MAGIC: "ramfs", unix.NFS_SUPER_MAGIC: "nfs", unix.OVERLAYFS_SUPER_MAGIC: "overlay", unix.FUSE_SUPER_MAGIC: "fuse",
		unix.F2FS_SUPER_MAGIC: "f2fs", unix.V9FS_MAGIC: "9p", unix.SMB2_SUPER_MAGIC: "smb", 0x2fc12fc1: "zfs",
	}
	files = names[int64(st.Type)]
	if files == "" {
		files = fmt.Sprintf("type %x", st.Type)
	}
	var info unix.Stat_t
	if err := unix.Stat(path, &info); err != nil {
		return files, ""
	}
	device := fmt.Sprintf("/sys/dev/block/%d:%d/", unix.Major(info.Dev), unix.Minor(info.Dev))
	for _, at := range []string{"queue/write_cache", "../queue/write_cache"} { // of a disk, of a partition
		if text, err := os.ReadFile(device + at); err == nil {
			return files, strings.TrimSpace(string(text))
		}
	}
	return files, ""
}
