//! Two 32-byte registers; tails go through a copy on the stack.

use std::arch::x86_64::{
    __m256i, _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_movemask_epi8, _mm256_set1_epi8,
};

use crate::arch::buffer::{Buffer, Cursor, Places, Words};
use crate::arch::vector::{self, Terminators, Vector};

kernels!(Bytes, "avx2,bmi1,bmi2,popcnt,lzcnt");

#[derive(Clone, Copy)]
struct Bytes(__m256i, __m256i);

#[inline(always)]
fn join(low: i32, high: i32) -> u64 {
    u64::from(low.cast_unsigned()) | u64::from(high.cast_unsigned()) << 32
}

#[expect(
    clippy::multiple_unsafe_ops_per_block,
    reason = "intrinsics are unsafe for one and the same reason"
)]
impl Vector for Bytes {
    #[inline(always)]
    unsafe fn load(ptr: *const u8) -> Self {
        // SAFETY: 64 bytes can be read behind `ptr`; AVX2 is on.
        unsafe {
            Self(
                _mm256_loadu_si256(ptr.cast()),
                _mm256_loadu_si256(ptr.wrapping_add(32).cast()),
            )
        }
    }

    #[inline(always)]
    unsafe fn load_part(ptr: *const u8, len: usize) -> Self {
        let mut copy = [0_u8; 64];
        // SAFETY: `len` bytes can be read, and less than 64 are written.
        unsafe { ptr.copy_to_nonoverlapping(copy.as_mut_ptr(), len) };
        // SAFETY: 64 bytes can be read behind `copy`.
        unsafe { Self::load(copy.as_ptr()) }
    }

    #[inline(always)]
    unsafe fn equal(self, byte: u8) -> u64 {
        // SAFETY: the caller enabled AVX2.
        unsafe {
            let byte = _mm256_set1_epi8(byte.cast_signed());
            join(
                _mm256_movemask_epi8(_mm256_cmpeq_epi8(self.0, byte)),
                _mm256_movemask_epi8(_mm256_cmpeq_epi8(self.1, byte)),
            )
        }
    }

    #[inline(always)]
    unsafe fn high(self) -> u64 {
        // SAFETY: the caller enabled AVX2.
        unsafe { join(_mm256_movemask_epi8(self.0), _mm256_movemask_epi8(self.1)) }
    }

    #[inline(always)]
    unsafe fn short(ptr: *const u8, len: usize, readable: usize) -> Words {
        if readable >= 16 {
            // SAFETY: sixteen bytes can be read.
            let all = u128::from_le_bytes(unsafe { ptr.cast::<[u8; 16]>().read() });
            let kept = all & ((1_u128 << (len * 8)) - 1);
            Words::short(kept as u64, (kept >> 64) as u64, len)
        } else {
            // SAFETY: `len` bytes can be read.
            vector::load_short(unsafe { std::slice::from_raw_parts(ptr, len) })
        }
    }
}
