//! One 64-byte register; masked loads read exactly what may be read.

use std::arch::x86_64::{
    __m128i, __m512i, _mm_insert_epi8, _mm_maskz_loadu_epi8, _mm512_cmpeq_epi8_mask,
    _mm512_maskz_loadu_epi8, _mm512_movepi8_mask, _mm512_set1_epi8,
};

use crate::arch::buffer::{Buffer, Cursor, LineEnds, Words};
use crate::arch::vector::{self, Terminators, Vector};

kernels!(Bytes, "avx512f,avx512bw,avx512vl,bmi1,bmi2,popcnt,lzcnt");

#[derive(Clone, Copy)]
struct Bytes(__m512i);

#[expect(
    clippy::multiple_unsafe_ops_per_block,
    reason = "intrinsics are unsafe for one and the same reason"
)]
impl Vector for Bytes {
    #[inline(always)]
    unsafe fn load(ptr: *const u8, len: usize) -> Self {
        let mask = u64::MAX >> (64 - len);
        // SAFETY: only the `len` bytes under the mask are read.
        Self(unsafe { _mm512_maskz_loadu_epi8(mask, ptr.cast()) })
    }

    #[inline(always)]
    unsafe fn equal(self, byte: u8) -> u64 {
        // SAFETY: the caller enabled AVX-512BW.
        unsafe { _mm512_cmpeq_epi8_mask(self.0, _mm512_set1_epi8(byte.cast_signed())) }
    }

    #[inline(always)]
    unsafe fn high(self) -> u64 {
        // SAFETY: the caller enabled AVX-512BW.
        unsafe { _mm512_movepi8_mask(self.0) }
    }

    #[inline(always)]
    unsafe fn short(ptr: *const u8, len: usize, _readable: usize) -> Words {
        let mask = (1_u16 << len) - 1;
        // SAFETY: only the `len` bytes under the mask are read; AVX-512VL is on.
        unsafe {
            let bytes = _mm_maskz_loadu_epi8(mask, ptr.cast());
            // A register and two words are the same sixteen bytes.
            std::mem::transmute::<__m128i, Words>(_mm_insert_epi8::<15>(bytes, len as i32))
        }
    }
}
