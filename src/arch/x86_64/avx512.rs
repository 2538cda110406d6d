//! One 64-byte register; masked loads read exactly what may be read.

use std::arch::x86_64::{
    __m128i, __m512i, _mm_insert_epi8, _mm_maskz_loadu_epi8, _mm512_add_epi32,
    _mm512_castsi512_si128, _mm512_cmpeq_epi8_mask, _mm512_cvtepu8_epi32,
    _mm512_extracti32x4_epi32, _mm512_loadu_si512, _mm512_maskz_compress_epi8,
    _mm512_maskz_loadu_epi8, _mm512_movepi8_mask, _mm512_set1_epi8, _mm512_set1_epi32,
    _mm512_storeu_si512,
};

use crate::arch::buffer::{Buffer, Cursor, Places, Words};
use crate::arch::vector::{self, Terminators, Vector};

kernels!(
    Bytes,
    "avx512f,avx512bw,avx512vl,avx512vbmi2,bmi1,bmi2,popcnt,lzcnt"
);

#[derive(Clone, Copy)]
struct Bytes(__m512i);

#[expect(
    clippy::multiple_unsafe_ops_per_block,
    reason = "intrinsics are unsafe for one and the same reason"
)]
impl Vector for Bytes {
    #[inline(always)]
    unsafe fn load(ptr: *const u8) -> Self {
        // SAFETY: 64 bytes can be read behind `ptr`.
        Self(unsafe { _mm512_loadu_si512(ptr.cast()) })
    }

    #[inline(always)]
    unsafe fn load_part(ptr: *const u8, len: usize) -> Self {
        let mask = (1_u64 << len) - 1;
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

    #[inline(always)]
    unsafe fn places(mask: u64, at: u32, out: *mut u32) {
        // SAFETY: AVX-512VBMI2 is on, and `out` has room for four registers.
        unsafe {
            let places = _mm512_maskz_compress_epi8(mask, _mm512_loadu_si512(ALL.as_ptr().cast()));
            let at = _mm512_set1_epi32(at.cast_signed());
            let write = |i: usize, places: __m128i| {
                let places = _mm512_add_epi32(_mm512_cvtepu8_epi32(places), at);
                _mm512_storeu_si512(out.wrapping_add(16 * i).cast(), places);
            };
            write(0, _mm512_castsi512_si128(places));
            if mask.count_ones() > 16 {
                write(1, _mm512_extracti32x4_epi32::<1>(places));
                write(2, _mm512_extracti32x4_epi32::<2>(places));
                write(3, _mm512_extracti32x4_epi32::<3>(places));
            }
        }
    }
}

/// The places of a vector's bytes.
static ALL: [u8; 64] = {
    let mut all = [0; 64];
    let mut i = 0;
    while i < 64 {
        all[i] = i as u8;
        i += 1;
    }
    all
};
