//! AVX-512 and AVX2. Below AVX2 the portable loops are used, but for what SSE2 is enough: that
//! is always there.

use std::arch::x86_64::{
    __m128i, _mm_castsi128_ps, _mm_cmpeq_epi32, _mm_movemask_ps, _mm_set_epi32, _mm_set1_epi32,
};

/// The kernels under one set of instructions.
macro_rules! kernels {
    ($vector:ty, $features:literal) => {
        #[target_feature(enable = $features)]
        pub(in crate::arch) unsafe fn split_bytes(
            hay: &[u8],
            separators: [u8; 2],
            cursor: &mut Cursor,
            out: &mut Buffer<Words>,
        ) {
            // SAFETY: the attribute above enables the instruction set.
            unsafe { vector::split_bytes::<$vector>(hay, separators, cursor, out) }
        }

        #[target_feature(enable = $features)]
        pub(in crate::arch) unsafe fn line_ends(
            hay: &[u8],
            cursor: &mut Cursor,
            out: &mut Places,
        ) -> bool {
            // SAFETY: the attribute above enables the instruction set.
            unsafe { vector::line_ends::<$vector>(hay, cursor, out) }
        }

        #[target_feature(enable = $features)]
        pub(in crate::arch) unsafe fn terminators(hay: &[u8]) -> Terminators {
            // SAFETY: the attribute above enables the instruction set.
            unsafe { vector::terminators::<$vector>(hay) }
        }
    };
}

pub(super) mod avx2;
pub(super) mod avx512;

/// Whether the AVX-512 kernels can run here: not on the first generations, which
/// have no VBMI2 and get slower with wide registers.
#[inline]
pub(super) fn has_avx512() -> bool {
    !cfg!(miri)
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512vbmi2")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
        && is_x86_feature_detected!("popcnt")
        && is_x86_feature_detected!("lzcnt")
}

/// Whether the AVX2 kernels can run here.
#[inline]
pub(super) fn has_avx2() -> bool {
    !cfg!(miri)
        && is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
        && is_x86_feature_detected!("popcnt")
        && is_x86_feature_detected!("lzcnt")
}

/// See [`arch::equal`](crate::arch::equal).
#[inline(always)]
pub(super) fn equal(numbers: &[u32; 8], number: u32) -> u8 {
    // SAFETY: every such machine has SSE2.
    unsafe { equal_sse2(numbers, number) }
}

#[inline]
#[target_feature(enable = "sse2")]
fn equal_sse2(numbers: &[u32; 8], number: u32) -> u8 {
    let number = _mm_set1_epi32(number.cast_signed());
    let [a, b, c, d, e, f, g, h] = numbers.map(u32::cast_signed);
    let bits = |four: __m128i| {
        let same = _mm_castsi128_ps(_mm_cmpeq_epi32(four, number));
        _mm_movemask_ps(same) as u8
    };
    // Each is one load.
    bits(_mm_set_epi32(d, c, b, a)) | bits(_mm_set_epi32(h, g, f, e)) << 4
}
