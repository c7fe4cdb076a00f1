package skbmark

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// membarrierGlobal is MEMBARRIER_CMD_GLOBAL of <linux/membarrier.h>.
const membarrierGlobal = 1

// Grace returns when every packet that passed a filter program before the call
// is in its queue. It takes some milliseconds.
//
// The kernel runs filter and queueing in one RCU read-side critical section
// (tun_net_xmit in drivers/net/tun.c), so Grace waits for an RCU grace period.
// membarrier(2) does that and needs no permission. But it fails if CPUs run
// without a tick (nohz_full), and returns at once on a single CPU, which is
// only correct if packets cannot be preempted half-way (not on PREEMPT_RT). In
// those two cases Grace updates a BPF map of maps, which waits in the same way
// (maybe_wait_bpf_programs in kernel/bpf/syscall.c) and needs the permissions
// of NewOutgoing. Only that can return an error.
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

// Received returns when every packet that was written to a device before the
// call has been received, including those that the kernel has queued for
// another processor (RPS). It takes some milliseconds, and longer while such
// packets keep arriving from anywhere; after a second it returns an error.
//
// Such packets wait in the backlogs of the processors. Linux reports the
// lengths of these since 5.10 (softnet_seq_show in net/core/net-procfs.c).
// Received waits until it has seen each backlog empty once. Without the lengths
// it waits for a second.
func Received() error {
	const most = time.Second
	deadline := time.Now().Add(most)
	empty := make(map[int]bool)
	for {
		backlogs, err := backlogs()
		if err != nil {
			time.Sleep(most)
			return nil
		}
		all := true
		for cpu, n := range backlogs {
			empty[cpu] = empty[cpu] || n == 0
			all = all && empty[cpu]
		}
		if all {
			// Packets leave a backlog within an RCU read-side
			// critical section.
			return Grace()
		}
		if time.Now().After(deadline) {
			return errors.New("wait for packets on their way from a device: the backlog of a processor is never empty")
		}
		time.Sleep(time.Millisecond)
	}
}

// softnetStat is the file with the lengths of the backlogs.
var softnetStat = "/proc/net/softnet_stat"

// backlogs returns the number of packets waiting to be received, for each line
// of the file, that is, for each processor.
func backlogs() ([]int, error) {
	const column = 11
	stat, err := os.ReadFile(softnetStat)
	if err != nil {
		return nil, err
	}
	var all []int
	for line := range strings.Lines(string(stat)) {
		fields := strings.Fields(line)
		if len(fields) <= column {
			return nil, fmt.Errorf("%s: no backlog lengths", softnetStat)
		}
		n, err := strconv.ParseUint(fields[column], 16, 32)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", softnetStat, err)
		}
		all = append(all, int(n))
	}
	return all, nil
}
