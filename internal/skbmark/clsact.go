package skbmark

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// filterName is the name of our filters. It also identifies those that a
// crashed process left behind.
const filterName = "muennet"

// clsactFilter is a tc filter that runs a program on the ingress of an
// interface.
type clsactFilter struct {
	device   netlink.Link
	program  int  // ID
	ownQdisc bool // we added the qdisc
}

// addClsact adds a filter that runs the program to an interface in the
// namespace of the calling thread. It replaces filters that were left behind.
func addClsact(ifindex int, program *ebpf.Program) (*clsactFilter, error) {
	info, err := program.Info()
	if err != nil {
		return nil, err
	}
	id, ok := info.ID()
	if !ok {
		return nil, errors.New("program has no id")
	}
	f := &clsactFilter{
		device:  &netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: ifindex}},
		program: int(id),
	}
	if err := request(func(h *netlink.Handle) error { return f.add(h, program.FD()) }); err != nil {
		return nil, err
	}
	return f, nil
}

// request makes requests in the namespace of the calling thread. A socket keeps
// its namespace alive, so it is closed right after them.
func request(f func(h *netlink.Handle) error) error {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("open netlink socket: %w", err)
	}
	defer h.Close()
	return f(h)
}

func (f *clsactFilter) add(h *netlink.Handle, program int) error {
	if err := f.addQdisc(h); err != nil {
		return err
	}
	if _, err := f.removeFilters(h, anyProgram); err != nil {
		return err
	}
	err := h.FilterAdd(&netlink.BpfFilter{
		FilterAttrs: netlink.FilterAttrs{
			LinkIndex: f.device.Attrs().Index,
			Parent:    netlink.HANDLE_MIN_INGRESS,
			Protocol:  unix.ETH_P_ALL,
			Priority:  0, // the kernel picks one before the existing filters
		},
		Fd:           program,
		Name:         filterName,
		DirectAction: true,
	})
	if err != nil {
		return errors.Join(fmt.Errorf("add filter: %w", unsupported(err)), f.removeQdisc(h))
	}
	return nil
}

// addQdisc adds a clsact qdisc unless there is one, or an ingress qdisc, its
// predecessor.
func (f *clsactFilter) addQdisc(h *netlink.Handle) error {
	err := h.QdiscAdd(f.qdisc())
	f.ownQdisc = err == nil
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("add clsact qdisc: %w", unsupported(err))
	}
	return nil
}

func (f *clsactFilter) qdisc() netlink.Qdisc {
	return &netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{
		LinkIndex: f.device.Attrs().Index,
		Handle:    netlink.MakeHandle(0xffff, 0),
		Parent:    netlink.HANDLE_CLSACT,
	}}
}

// unsupported adds ebpf.ErrNotSupported if the kernel does not know the kind of
// a qdisc or filter.
func unsupported(err error) error {
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EOPNOTSUPP) {
		return fmt.Errorf("%w: %w", ebpf.ErrNotSupported, err)
	}
	return err
}

// remove removes the filter, and the qdisc if we added it. It is not an error
// if the interface is not in the namespace of the calling thread: it was
// removed or moved, and both remove the filter.
func (f *clsactFilter) remove() error {
	err := request(func(h *netlink.Handle) error {
		// The index may belong to another interface here, or by now.
		found, err := f.removeFilters(h, f.program)
		if err != nil || !found {
			return err
		}
		return f.removeQdisc(h)
	})
	if errors.Is(err, unix.ENODEV) {
		return nil
	}
	return err
}

const anyProgram = 0

// removeFilters removes our filters that run the program with this ID, and
// reports whether there were any.
func (f *clsactFilter) removeFilters(h *netlink.Handle, program int) (found bool, err error) {
	all, err := h.FilterList(f.device, netlink.HANDLE_MIN_INGRESS)
	if err != nil {
		return false, fmt.Errorf("list filters: %w", err)
	}
	for _, each := range all {
		bpf, ok := each.(*netlink.BpfFilter)
		if !ok || bpf.Name != filterName || (program != anyProgram && bpf.Id != program) {
			continue
		}
		if err := h.FilterDel(bpf); err != nil {
			return found, fmt.Errorf("remove filter: %w", err)
		}
		found = true
	}
	return found, nil
}

// removeQdisc removes the qdisc if we added it and it has no other filters.
func (f *clsactFilter) removeQdisc(h *netlink.Handle) error {
	if !f.ownQdisc {
		return nil
	}
	for _, parent := range []uint32{netlink.HANDLE_MIN_INGRESS, netlink.HANDLE_MIN_EGRESS} {
		if left, err := h.FilterList(f.device, parent); err != nil || len(left) > 0 {
			return err
		}
	}
	if err := h.QdiscDel(f.qdisc()); err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("remove clsact qdisc: %w", err)
	}
	return nil
}
