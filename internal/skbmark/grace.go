package skbmark

import (
	"fmt"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// membarrierGlobal is MEMBARRIER_CMD_GLOBAL of <linux/membarrier.h>.
const membarrierGlobal = 1

// Grace returns when every packet that passed a filter program before the call
// is in its queue. It takes some milliseconds.
//
// The kernel runs filter and queueing in one RCU read-side critical section
// (tun_net_xmit in drivers/net/tun.c), so the end of an RCU grace period is what
// is waited for. membarrier(2) does that and needs no permission, but refuses
// where CPUs run without a tick (nohz_full), and returns at once where there is
// one CPU, which is right unless a packet can be interrupted half-way
// (PREEMPT_RT). In those two cases an update of a BPF map of maps is used, which
// waits in the same way (maybe_wait_bpf_programs in kernel/bpf/syscall.c) and
// needs the permissions of NewOutgoing; only it makes this return an error.
func Grace() error {
	if !preemptRT() && waitMembarrier() == nil {
		return nil
	}
	if err := waitMapUpdate(); err != nil {
		return fmt.Errorf("wait for packets on their way to a queue: %w", err)
	}
	return nil
}

func preemptRT() bool {
	return unix.Access("/sys/kernel/realtime", unix.F_OK) == nil
}

func waitMembarrier() error {
	if _, _, errno := unix.Syscall(unix.SYS_MEMBARRIER, membarrierGlobal, 0, 0); errno != 0 {
		return errno
	}
	return nil
}

func waitMapUpdate() error {
	inner := &ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1}
	outer := &ebpf.MapSpec{Type: ebpf.ArrayOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 1, InnerMap: inner}
	entry, err := ebpf.NewMap(inner)
	if err != nil {
		return err
	}
	defer entry.Close()
	table, err := ebpf.NewMap(outer)
	if err != nil {
		return err
	}
	defer table.Close()
	return table.Put(uint32(0), entry)
}
