package daemon

import (
	"fmt"
	"net"
	"os"
	"time"
)

// notify reports the state of the process to the service manager, by the
// protocol of sd_notify(3): one datagram to the socket named in NOTIFY_SOCKET,
// where a leading @ stands for the abstract namespace. Without a service
// manager it does nothing.
func notify(state string) error {
	name := os.Getenv("NOTIFY_SOCKET")
	if name == "" {
		return nil
	}
	// Package net understands the leading @.
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("notify service manager: %w", err)
	}
	defer conn.Close()
	err = conn.SetWriteDeadline(time.Now().Add(notifyTimeout))
	if err == nil {
		_, err = conn.Write([]byte(state))
	}
	if err != nil {
		return fmt.Errorf("notify service manager: %w", err)
	}
	return nil
}
