//go:build !race

#include "textflag.h"

// Each 64-bit lane of a vector holds two numbers of 32 bits, low and high. For
// three instructions per vector, Y8 and Y9 add whole lanes, modulo 2^64, and
// Y10 and Y11 add high. What the carries of low did to Y8 and Y9 then comes out
// exactly: low's sum is their sum minus high's sum * 2^32, modulo 2^64, and is
// below 2^64.
//
// The loops work on 128 bytes, and on 32.

// REDUCE leaves the sum of all numbers in the low half of X8.
#define REDUCE \
	VPADDQ       Y9, Y8, Y8;    \
	VPADDQ       Y11, Y10, Y10; \
	VPSLLQ       $32, Y10, Y9;  \
	VPSUBQ       Y9, Y8, Y8;    \
	VPADDQ       Y10, Y8, Y8;   \
	VEXTRACTI128 $1, Y8, X9;    \
	VPADDQ       X9, X8, X8;    \
	VPSRLDQ      $8, X8, X9;    \
	VPADDQ       X9, X8, X8

// func sumRun(src *byte, n int) uint64
TEXT ·sumRun(SB), NOSPLIT, $0-24
	MOVQ    src+0(FP), SI
	MOVQ    n+8(FP), CX
	VPXOR   Y8, Y8, Y8
	VPXOR   Y9, Y9, Y9
	VPXOR   Y10, Y10, Y10
	VPXOR   Y11, Y11, Y11
	SUBQ    $128, CX
	JLT     rest

loop:
	VMOVDQU 0(SI), Y0
	VMOVDQU 32(SI), Y1
	VMOVDQU 64(SI), Y2
	VMOVDQU 96(SI), Y3
	VPSRLQ  $32, Y0, Y4
	VPSRLQ  $32, Y1, Y5
	VPSRLQ  $32, Y2, Y6
	VPSRLQ  $32, Y3, Y7
	VPADDQ  Y0, Y8, Y8
	VPADDQ  Y1, Y9, Y9
	VPADDQ  Y2, Y8, Y8
	VPADDQ  Y3, Y9, Y9
	VPADDQ  Y4, Y10, Y10
	VPADDQ  Y5, Y11, Y11
	VPADDQ  Y6, Y10, Y10
	VPADDQ  Y7, Y11, Y11
	ADDQ    $128, SI
	SUBQ    $128, CX
	JGE     loop

rest:
	ADDQ    $128, CX
	JEQ     done

single:
	VMOVDQU (SI), Y0
	VPSRLQ  $32, Y0, Y4
	VPADDQ  Y0, Y8, Y8
	VPADDQ  Y4, Y10, Y10
	ADDQ    $32, SI
	SUBQ    $32, CX
	JNE     single

done:
	REDUCE
	MOVQ    X8, AX
	VZEROUPPER
	MOVQ    AX, ret+16(FP)
	RET

// func copyRun(dst, src *byte, n int) uint64
TEXT ·copyRun(SB), NOSPLIT, $0-32
	MOVQ    dst+0(FP), DI
	MOVQ    src+8(FP), SI
	MOVQ    n+16(FP), CX
	VPXOR   Y8, Y8, Y8
	VPXOR   Y9, Y9, Y9
	VPXOR   Y10, Y10, Y10
	VPXOR   Y11, Y11, Y11
	SUBQ    $128, CX
	JLT     rest

loop:
	VMOVDQU 0(SI), Y0
	VMOVDQU 32(SI), Y1
	VMOVDQU 64(SI), Y2
	VMOVDQU 96(SI), Y3
	VMOVDQU Y0, 0(DI)
	VMOVDQU Y1, 32(DI)
	VMOVDQU Y2, 64(DI)
	VMOVDQU Y3, 96(DI)
	VPSRLQ  $32, Y0, Y4
	VPSRLQ  $32, Y1, Y5
	VPSRLQ  $32, Y2, Y6
	VPSRLQ  $32, Y3, Y7
	VPADDQ  Y0, Y8, Y8
	VPADDQ  Y1, Y9, Y9
	VPADDQ  Y2, Y8, Y8
	VPADDQ  Y3, Y9, Y9
	VPADDQ  Y4, Y10, Y10
	VPADDQ  Y5, Y11, Y11
	VPADDQ  Y6, Y10, Y10
	VPADDQ  Y7, Y11, Y11
	ADDQ    $128, SI
	ADDQ    $128, DI
	SUBQ    $128, CX
	JGE     loop

rest:
	ADDQ    $128, CX
	JEQ     done

single:
	VMOVDQU (SI), Y0
	VMOVDQU Y0, (DI)
	VPSRLQ  $32, Y0, Y4
	VPADDQ  Y0, Y8, Y8
	VPADDQ  Y4, Y10, Y10
	ADDQ    $32, SI
	ADDQ    $32, DI
	SUBQ    $32, CX
	JNE     single

done:
	REDUCE
	MOVQ    X8, AX
	VZEROUPPER
	MOVQ    AX, ret+24(FP)
	RET
