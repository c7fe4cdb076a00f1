package region

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Watcher reports, through inotify(7), that something happened to files: they,
// or other files in their directories, were created, removed, renamed or
// truncated, or their directory was. [Region.Look] finds out what happened. The
// kernel does not report mounts over a directory, changes by another system on
// a network file system, or changes to a parent directory. So also look
// occasionally without a report.
type Watcher struct {
	file *os.File
	done chan struct{}
	end  sync.Once
}

// watcherPause is the minimum time between two reports of a Watcher.
const watcherPause = time.Second

// watched are the changes that a Watcher reports.
const watched = unix.IN_CREATE | unix.IN_DELETE | unix.IN_MOVED_FROM | unix.IN_MOVED_TO | unix.IN_MODIFY |
	unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_ONLYDIR

// Watch calls changed after something happened to the files of these paths, at
// most once a second, on its own goroutine, until Close. It fails if the kernel
// lacks inotify, if one of the directories is missing, or if the user has too
// many watches or instances.
func Watch(paths []string, changed func()) (*Watcher, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("watch files: %w", err)
	}
	w := &Watcher{file: os.NewFile(uintptr(fd), "inotify"), done: make(chan struct{})}
	for _, path := range paths {
		// A directory that is already watched is not watched twice.
		if _, err := unix.InotifyAddWatch(fd, filepath.Dir(path), watched); err != nil {
			w.file.Close()
			return nil, fmt.Errorf("watch %s: %w", filepath.Dir(path), err)
		}
	}
	go w.run(changed)
	return w, nil
}

func (w *Watcher) run(changed func()) {
	events := make([]byte, 4096) // room for several; which ones does not matter
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

// Close ends the watch. It does not wait for a call of changed in progress.
func (w *Watcher) Close() {
	w.end.Do(func() {
		close(w.done)
		w.file.Close()
	})
}
