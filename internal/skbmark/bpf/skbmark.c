// SPDX-License-Identifier: Apache-2.0
//
// The programs of package skbmark, which documents them. They use no kernel
// headers, so that the build does not depend on the machine, no helpers that
// are reserved for GPL programs, and no kernel type information.

typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;

#define SEC(name) __attribute__((section(name), used))
#define INLINE static inline __attribute__((always_inline))
#define READ_ONCE(x) (*(volatile typeof(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile typeof(x) *)&(x) = (v))

// The beginning of struct __sk_buff in <linux/bpf.h>.
struct __sk_buff {
	u32 len;
	u32 pkt_type;
	u32 mark;
	u32 queue_mapping;
};

static void *(*bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*bpf_loop)(u32 turns, void *turn, void *context, u64 flags) = (void *)181;

// An array with one value that user space maps: BPF_MAP_TYPE_ARRAY with
// BPF_F_MMAPABLE, in the notation for loaders.
#define SHARED(name, value_type)                                               \
	struct {                                                               \
		int (*type)[2];                                                \
		int (*map_flags)[1 << 10];                                     \
		int (*max_entries)[1];                                         \
		u32 *key;                                                      \
		value_type *value;                                             \
	} name SEC(".maps")

#define SLOTS 256
#define HINT_BITS 12

// A slot holds the mark of its queue in bits 0 to 31. It is free (0), open
// (mark, or mark | USED), closed (mark | CLOSED) or without a queue (CLOSED).
// Queue 0 carries mark 0 and needs no slot: slot 0 looks like one without a
// queue.
#define USED (1ull << 32)
#define CLOSED (1ull << 33)

struct outgoing {
	u64 slot[SLOTS];
	u8 hint[1 << HINT_BITS]; // the last queue of a mark, by hash of the mark
	u64 overflows;           // packets with a mark but without a queue for it
	u64 mismatches;          // packets whose queue is not that of their mark
};

SHARED(outgoing_map, struct outgoing);

INLINE struct outgoing *outgoing_state(void)
{
	u32 key = 0;

	return bpf_map_lookup_elem(&outgoing_map, &key);
}

// use reports whether the slot is open with this mark, and if so marks it used.
INLINE int use(u64 *slot, u32 mark)
{
	u64 word = READ_ONCE(*slot);

	if (word == (mark | USED))
		return 1;
	if (word != mark)
		return 0;
	// The first use since user space looked. Another processor may have
	// been faster and set USED, or user space may have closed the slot.
	word = __sync_val_compare_and_swap(slot, mark, mark | USED);
	return word == mark || word == (mark | USED);
}

// search is a search through the slots for a queue.
struct search {
	struct outgoing *state;
	u32 mark;
	u32 queue; // found; 0 = none
};

// find is a step of the search for the queue whose slot is open with the mark.
// Step i is for queue i + 1. It reports whether it was the last one.
INLINE long find(u32 i, struct search *s)
{
	u32 q = i + 1;

	if (q >= SLOTS)
		return 1;
	if ((READ_ONCE(s->state->slot[q]) & ~USED) != s->mark)
		return 0;
	s->queue = q;
	return 1;
}

// take is a step of the search for a free slot, which it gives to the mark.
INLINE long take(u32 i, struct search *s)
{
	u32 q = i + 1;

	if (q >= SLOTS)
		return 1;
	if (READ_ONCE(s->state->slot[q]))
		return 0;
	u64 word = __sync_val_compare_and_swap(&s->state->slot[q], 0, s->mark | USED);
	// Another processor may have given it to the same mark.
	if (word && word != (s->mark | USED))
		return 0;
	s->queue = q;
	return 1;
}

// all runs all steps. In the kernel's loop the verifier checks one step; in a
// loop in the program it checks every iteration, which takes 5 ms for each
// device.
INLINE void all(long (*turn)(u32 i, struct search *s), struct search *s, int kernel_loop)
{
	if (kernel_loop) {
		bpf_loop(SLOTS - 1, turn, s, 0);
		return;
	}
#pragma nounroll
	for (u32 i = 0; i < SLOTS - 1; i++)
		if (turn(i, s))
			return;
}

// queue_of returns the queue of a packet, 0 if it gets none.
INLINE u32 queue_of(struct __sk_buff *skb, int kernel_loop)
{
	struct outgoing *o = outgoing_state();
	struct search s = {.state = o, .mark = skb->mark};

	if (!s.mark || !o)
		return 0;

	u8 *hint = &o->hint[s.mark * 0x9e3779b1u >> (32 - HINT_BITS)];
	u32 q = READ_ONCE(*hint);

	if (use(&o->slot[q], s.mark))
		return q;
	all(find, &s, kernel_loop);
	if (!s.queue)
		all(take, &s, kernel_loop);
	if (s.queue)
		WRITE_ONCE(*hint, s.queue);
	return s.queue;
}

// steer returns the queue of a packet before it enters a qdisc. A packet that
// gets no queue goes to queue 0, where the filter detects it by its mark.
SEC("socket/steer")
int steer(struct __sk_buff *skb)
{
	return queue_of(skb, 1);
}

// steer_old is steer for kernels without bpf_loop (before Linux 5.17).
SEC("socket/steer_old")
int steer_old(struct __sk_buff *skb)
{
	return queue_of(skb, 0);
}

// filter returns how much of a packet enters its queue: all or nothing. It runs
// after the qdisc, where a packet may have waited for any time.
SEC("socket/filter")
int filter(struct __sk_buff *skb)
{
	u32 mark = skb->mark;
	u32 q = skb->queue_mapping;
	struct outgoing *o = outgoing_state();

	if (!o)
		return 0;
	if (!mark && !q)
		return skb->len;
	if (!q) {
		__sync_fetch_and_add(&o->overflows, 1);
		return 0;
	}
	if (mark && q < SLOTS && use(&o->slot[q], mark))
		return skb->len;
	__sync_fetch_and_add(&o->mismatches, 1);
	return 0;
}

struct incoming {
	u64 armed; // sequence number << 32 | mark; 0 = off; written by user space
	u64 seen;  // sequence number of the last armed packet
};

SHARED(incoming_map, struct incoming);

// TCX_NEXT and TC_ACT_UNSPEC: continue with the next program.
#define NEXT -1

// mark sets the armed mark on a packet that user space writes to the device.
SEC("tcx/ingress")
int mark(struct __sk_buff *skb)
{
	u32 key = 0;
	struct incoming *i = bpf_map_lookup_elem(&incoming_map, &key);

	if (!i)
		return NEXT;
	u64 armed = READ_ONCE(i->armed);
	if (armed >> 32) {
		if ((u32)armed)
			skb->mark = armed;
		WRITE_ONCE(i->seen, armed >> 32);
	}
	return NEXT;
}

char licence[] SEC("license") = "Apache-2.0";
