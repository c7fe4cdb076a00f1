package offload

import "testing"

func TestFold(t *testing.T) {
	for _, v := range []uint32{0, 1, 0xffff, 0x10000, 0x1ffff, 0xffff0001, 0xfffeffff, 0xffffffff, 0x8000ffff} {
		if got, want := fold(v), naiveSum(nil, uint64(v)); uint64(got) != want {
			t.Errorf("%#x: %#x, want %#x", v, got, want)
		}
	}
}
