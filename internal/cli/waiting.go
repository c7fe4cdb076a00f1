package cli

import "time"

// These constants decide how long commands wait, and for what. None was
// measured: they only have to be far longer than what they wait for takes, and
// short enough for a user.

// Starting a muennet in the background.
const (
	// startPause is the pause between two of startTries.
	startPause = 50 * time.Millisecond
	// undoTime bounds how long load waits for the end of a muennet that it
	// started in vain.
	undoTime = 30 * time.Second
	// namePause is the pause between two looks for threads that still have the
	// old name of the process.
	namePause = time.Millisecond
)

// startTries is how often load tries to start a muennet while other processes
// start and end theirs; a variable for tests.
var startTries = 100

// Ending, and the log.
const (
	// stopPatience is how long a command may take to end after the first signal.
	// After that another signal kills it, in case the stop hangs.
	stopPatience = 10 * time.Second
	// flushTime is how long muennet waits at its end for its log to be written.
	flushTime = time.Second
	// lateLine is the age from which a line in the system log states its own
	// time. syslog stamps lines with the time of arrival, in seconds, which is
	// wrong for lines that had to wait.
	lateLine = 2 * time.Second
)
