#include "textflag.h"

// func storeFence()
// DMB ISHST (CRm = 0b1010): Arm Architecture Reference Manual, "DMB".
TEXT ·storeFence(SB), NOSPLIT|NOFRAME, $0-0
	DMB $10
	RET

// func loadFence()
// DMB ISHLD (CRm = 0b1001).
TEXT ·loadFence(SB), NOSPLIT|NOFRAME, $0-0
	DMB $9
	RET
