package skbmark

// The version of the compiler is fixed because others generate different bytes.
//
//go:generate go run github.com/cilium/ebpf/cmd/bpf2go -cc clang-14 -target bpfel -no-global-types -type outgoing -type incoming programs bpf/skbmark.c -- -O2 -mcpu=v3 -Wall -Wextra -Werror
