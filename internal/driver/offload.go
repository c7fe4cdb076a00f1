package driver

import (
	"errors"
	"strings"

	"github.com/muennet/muennet/internal/tuntap"
)

// offloading is the segmentation offload that a device and its kernel agreed
// on.
type offloading struct {
	vnet     bool // the device has a virtio_net_hdr before each packet
	tcp, udp bool // packets of up to 64 KiB, by protocol
}

// openOffload agrees with the kernel on as much as it supports. It asks, and
// does not guess from the version.
func openOffload(dev *tuntap.Device, vnet bool) (o offloading, err error) {
	if !vnet {
		// An adopted device may still have the offload of its last process.
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

// describe names the features in the words of ethtool; merging: merged packets
// are still accepted.
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
