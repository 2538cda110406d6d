//! The one spelling of hash tables and hashes in this crate.
//!
//! Tables of keyed records use [`KeyHash`], which hashes a [`Str`](crate::Str) as
//! the two machine words that it is: one wide multiply. It is seeded by ahash's
//! random source once per process, so that outside data cannot be made to
//! collide on purpose; results never depend on the order of iteration. Which partition a
//! key belongs to does depend on the seeds, so a process that goes on from a checkpoint
//! takes those of the one before.

use std::hash::{Hash, Hasher};
use std::sync::OnceLock;

/// Of this process; set once.
static SEEDS: OnceLock<(u64, u64)> = OnceLock::new();

/// A number that is different each time and cannot be foretold.
#[cfg(not(shuttle))]
pub(crate) fn random() -> u64 {
    ahash::RandomState::new().hash_one(0_u64)
}

/// In a model it comes with the schedule, and again when that is repeated.
#[cfg(shuttle)]
pub(crate) fn random() -> u64 {
    use shuttle::rand::RngCore;
    shuttle::rand::thread_rng().next_u64()
}

/// The hash function of keyed records; cheap to copy, the same all through a
/// process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyHash {
    seeds: (u64, u64),
}

impl KeyHash {
    /// The hash function of this process.
    pub(crate) fn get() -> Self {
        let seeds = *SEEDS.get_or_init(|| {
            let random = ahash::RandomState::new();
            // An even multiplier would lose a bit.
            (random.hash_one(1_u64), random.hash_one(2_u64) | 1)
        });
        Self { seeds }
    }

    /// What makes it the same in another process.
    pub(crate) fn seeds(self) -> (u64, u64) {
        self.seeds
    }

    /// Makes that of another process the one of this process; whether it is, as it cannot
    /// be changed any more when it was used.
    pub(crate) fn adopt(seeds: (u64, u64)) -> bool {
        *SEEDS.get_or_init(|| seeds) == seeds
    }

    /// Hashes one key.
    #[inline(always)]
    pub(crate) fn hash<K: Hash + ?Sized>(self, key: &K) -> u64 {
        let mut hasher = KeyHasher {
            state: self.seeds.0,
            multiplier: self.seeds.1,
        };
        key.hash(&mut hasher);
        hasher.finish()
    }

    /// Hashes bytes as they are.
    pub(crate) fn hash_bytes(self, bytes: &[u8]) -> u64 {
        let mut hasher = KeyHasher {
            state: self.seeds.0,
            multiplier: self.seeds.1,
        };
        hasher.write(bytes);
        hasher.finish()
    }
}

/// The hasher behind [`KeyHash`].
#[derive(Debug)]
pub(crate) struct KeyHasher {
    state: u64,
    multiplier: u64,
}

/// The two halves of a wide product, xored: every input bit reaches the low
/// bits (hashbrown's bucket) and the high ones (its tag).
#[inline(always)]
fn fold(a: u64, b: u64) -> u64 {
    let wide = u128::from(a) * u128::from(b);
    (wide as u64) ^ ((wide >> 64) as u64)
}

impl Hasher for KeyHasher {
    #[inline(always)]
    fn write_u128(&mut self, value: u128) {
        self.state = fold(
            (value as u64) ^ self.state,
            ((value >> 64) as u64) ^ self.multiplier,
        );
    }

    #[inline(always)]
    fn write_u64(&mut self, value: u64) {
        self.state = fold(value ^ self.state, self.multiplier);
    }

    #[inline(always)]
    fn write_u32(&mut self, value: u32) {
        self.write_u64(u64::from(value));
    }

    #[inline(always)]
    fn write_u16(&mut self, value: u16) {
        self.write_u64(u64::from(value));
    }

    #[inline(always)]
    fn write_u8(&mut self, value: u8) {
        self.write_u64(u64::from(value));
    }

    #[inline(always)]
    fn write_usize(&mut self, value: usize) {
        self.write_u64(value as u64);
    }

    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let mut chunks = bytes.chunks_exact(16);
        for chunk in &mut chunks {
            let mut wide = [0; 16];
            wide.copy_from_slice(chunk);
            self.write_u128(u128::from_le_bytes(wide));
        }
        let rest = chunks.remainder();
        let mut last = [0; 16];
        last[..rest.len()].copy_from_slice(rest);
        // The length keeps a zero-filled tail apart from real zeros.
        last[15] = rest.len() as u8;
        self.write_u128(u128::from_le_bytes(last));
    }

    #[inline(always)]
    fn finish(&self) -> u64 {
        self.state
    }
}
