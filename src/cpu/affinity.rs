//! Ties the calling thread to CPUs.

use core_affinity::CoreId;

/// Ties the calling thread to `cpus` and says whether that worked; none are refused.
pub(super) fn set_current(cpus: &[usize]) -> bool {
    match *cpus {
        [] => false,
        [cpu] => core_affinity::set_for_current(CoreId { id: cpu }),
        _ => system::set_several(cpus),
    }
}

/// What `core_affinity` does for one CPU, for several.
#[cfg(target_os = "linux")]
mod system {
    use std::ffi::{c_int, c_ulong};

    unsafe extern "C" {
        /// `sched_setaffinity(2)`, of the C library that the standard library is linked to.
        fn sched_setaffinity(thread: c_int, len: usize, mask: *const c_ulong) -> c_int;
    }

    pub(super) fn set_several(cpus: &[usize]) -> bool {
        const BITS: usize = c_ulong::BITS as usize;
        let mut mask: Vec<c_ulong> = Vec::new();
        for cpu in cpus {
            let word = cpu / BITS;
            mask.resize(mask.len().max(word + 1), 0);
            mask[word] |= 1 << (cpu % BITS);
        }
        // SAFETY: the call reads so many bytes of the mask, before it returns.
        let result = unsafe { sched_setaffinity(0, size_of_val(&mask[..]), mask.as_ptr()) };
        result == 0
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    pub(super) fn set_several(_: &[usize]) -> bool {
        false
    }
}
