package driver

import (
	"errors"
	"strings"

	"github.com/muennet/muennet/internal/tuntap"
)

// offloading is what a device and its kernel leave to each other.
type offloading struct {
	vnet     bool // the device has a virtio_net_hdr before each packet
	tcp, udp bool // which packets come and go in pieces of up to 64 KiB
}

// openOffload asks for all that can be had. What the kernel refuses is left out:
// it is asked, not guessed from its version.
func openOffload(dev *tuntap.Device, vnet bool) (o offloading, err error) {
	if !vnet {
		// An adopted device may still have what its last process asked for.
		return o, dev.SetOffload(0)
	}
	for _, try := range []struct {
		offloading
		features tuntap.Offload
	}{
		{offloading{vnet: true, tcp: true, udp: true}, tuntap.Checksum | tuntap.TCP | tuntap.UDP},
		{offloading{vnet: true, tcp: true}, tuntap.Checksum | tuntap.TCP},
		{offloading{vnet: true}, 0},
	} {
		if err = dev.SetOffload(try.features); !errors.Is(err, errors.ErrUnsupported) {
			return try.offloading, err
		}
	}
	return o, err
}

// describe tells the state in the words of ethtool; merging says whether merged
// packets are still accepted.
func (o offloading) describe(merging bool) string {
	if !o.tcp {
		return "off"
	}
	words := []string{"tso"}
	if o.udp {
		words = append(words, "uso")
	}
	if merging {
		words = append(words, "gro")
	}
	return strings.Join(words, " ")
}
