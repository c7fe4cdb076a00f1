package region

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Watcher tells that something happened to files, by inotify(7): they, or other
// files of their directories, were made, removed, renamed or cut, or their
// directory was. What happened is for [Region.Look] to find out. The kernel tells
// nothing of mounts over a directory, of what another system does to a network
// file system, and of a directory further up: look from time to time all the same.
type Watcher struct {
	file *os.File
	done chan struct{}
	end  sync.Once
}

// watcherPause is how often a Watcher tells of changes at most.
const watcherPause = time.Second

// watched are the changes that a Watcher tells of.
const watched = unix.IN_CREATE | unix.IN_DELETE | unix.IN_MOVED_FROM | unix.IN_MOVED_TO | unix.IN_MODIFY |
	unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_ONLYDIR

// Watch calls changed after something happened to the files of these paths,
// at most once a second, on a goroutine of its own, until Close. An error means
// that the kernel knows no inotify, that one of the directories is not there, or
// that the user has too many watches or instances.
func Watch(paths []string, changed func()) (*Watcher, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("watch files: %w", err)
	}
	w := &Watcher{file: os.NewFile(uintptr(fd), "inotify"), done: make(chan struct{})}
	for _, path := range paths {
		// A directory that is watched already is not watched twice.
		if _, err := unix.InotifyAddWatch(fd, filepath.Dir(path), watched); err != nil {
			w.file.Close()
			return nil, fmt.Errorf("watch %s: %w", filepath.Dir(path), err)
		}
	}
	go w.run(changed)
	return w, nil
}

func (w *Watcher) run(changed func()) {
	events := make([]byte, 4096) // several; which ones does not matter
	for {
		if _, err := w.file.Read(events); err != nil {
			return // closed
		}
		changed()
		select {
		case <-w.done:
			return
		case <-time.After(watcherPause):
		}
	}
}

// Close ends the watch. A call of changed that is under way is not waited for.
func (w *Watcher) Close() {
	w.end.Do(func() {
		close(w.done)
		w.file.Close()
	})
}
