package tuntap_test

import (
	"os"
	"testing"

	"github.com/muennet/muennet/internal/tuntap"
)

// What has been received or dropped is not pending, whatever its length.
func TestNothingIsPendingAfterItsReceipt(t *testing.T) {
	ns := namespace(t)
	dev := open(t, ns, tuntap.Config{Name: "net0", MultiQueue: true})
	for range 2 {
		if err := dev.Account(true); err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{20, 1500, 9000, 65535} {
			for range 10 {
				if _, err := dev.Write(ipv4(n)); err != nil || dev.Pending() {
					t.Fatalf("%d bytes: %v, pending %t", n, err, dev.Pending())
				}
			}
		}
		if err := dev.Account(false); err != nil {
			t.Fatal(err)
		}
	}
	dev.Close()
	if err := dev.Account(true); err != os.ErrClosed || !dev.Pending() {
		t.Errorf("closed: %v, pending %t", err, dev.Pending())
	}
}
