package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// loadModules loads all kernel modules below a directory, in the order of their
// paths; one that needs another is to come after it. It returns the names of
// those that were loaded. Without the directory there is nothing to do.
func loadModules(dir string) (names []string, err error) {
	walkErr := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, walkErr error) error {
		if walkErr != nil {
			return walkErr
		}
		name, suffix, _ := strings.Cut(entry.Name(), ".")
		if !entry.Type().IsRegular() || suffix != "ko" && !strings.HasPrefix(suffix, "ko.") {
			return nil
		}
		switch e := loadModule(path, suffix != "ko"); {
		case e == nil:
			names = append(names, name)
		case !errors.Is(e, unix.EEXIST):
			err = errors.Join(err, fmt.Errorf("load module %s: %w", path, e))
		}
		return nil
	})
	if walkErr != nil && !errors.Is(walkErr, fs.ErrNotExist) {
		err = errors.Join(err, fmt.Errorf("load modules: %w", walkErr))
	}
	return names, err
}

// loadModule loads one module. The kernel unpacks a compressed one itself, if
// it was built to (CONFIG_MODULE_DECOMPRESS).
func loadModule(path string, compressed bool) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	flags := 0
	if compressed {
		flags = unix.MODULE_INIT_COMPRESSED_FILE
	}
	return unix.FinitModule(int(file.Fd()), "", flags)
}
