package confine

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Refusal is a system call that fails.
type Refusal struct {
	Call  int // SYS_*
	Errno unix.Errno
	// If is about the arguments of those calls that fail; nil: all do.
	If *Argument
}

// Argument is an argument, counted from 0, and its low 32 bits.
type Argument struct {
	Number int
	Value  uint32
}

// Offsets in struct seccomp_data of include/uapi/linux/seccomp.h.
const (
	offsetCall = 0
	offsetArgs = 16 // 8 bytes each; the low half of one comes first on all machines that tests run on
)

// refuse has the kernel refuse calls of this thread and what it executes.
func refuse(refusals []Refusal) error {
	if len(refusals) == 0 {
		return nil
	}
	var program []unix.SockFilter
	for _, r := range refusals {
		block := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(r.Errno)}}
		if r.If != nil {
			block = append(unlessEqual(offsetArgs+8*uint32(r.If.Number), r.If.Value, len(block)), block...)
		}
		program = append(program, append(unlessEqual(offsetCall, uint32(r.Call), len(block)), block...)...)
	}
	program = append(program, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW})
	fprog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	_, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&fprog)))
	if errno != 0 {
		return fmt.Errorf("set seccomp filter: %w", errno)
	}
	return nil
}

// unlessEqual skips the next instructions unless a word of the data is value.
func unlessEqual(offset, value uint32, skip int) []unix.SockFilter {
	return []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: value, Jf: uint8(skip)},
	}
}
