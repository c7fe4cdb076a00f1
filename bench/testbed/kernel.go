package testbed

import "context"

func veth(_ context.Context, b *Bed) error {
	if err := b.A.AddVeth(device, b.B.Namespace, device, 1500); err != nil {
		return err
	}
	return b.bothUp()
}

func vethPlain(ctx context.Context, b *Bed) error {
	if err := veth(ctx, b); err != nil {
		return err
	}
	for _, h := range []*Host{b.A, b.B} {
		if err := h.run("ethtool", "-K", device, "tso", "off", "gso", "off", "gro", "off"); err != nil {
			return err
		}
	}
	return nil
}
