//go:build unix

package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// giveToOwner gives files that root has made in a data folder to whom the folder
// belongs: the user that the server runs as, who could not open them otherwise.
// Absent files are left out.
func giveToOwner(data string, paths ...string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(data)
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	for _, path := range paths {
		if err := os.Lchown(path, int(owner.Uid), int(owner.Gid)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// giveAllToOwner does so with everything in a data folder that was just made. Under
// systemd the folder's name is a link.
func giveAllToOwner(data string) error {
	data, err := filepath.EvalSymlinks(data)
	if err != nil {
		return err
	}
	var all []string
	err = filepath.WalkDir(data, func(path string, _ fs.DirEntry, err error) error {
		if path != data {
			all = append(all, path)
		}
		return err
	})
	return errors.Join(err, giveToOwner(data, all...))
}
