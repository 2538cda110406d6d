//! Seeded inputs: the same bytes on every machine.

/// The seed of all inputs.
pub(crate) const SEED: u64 = 42;

/// Distinct words of the word count workload.
pub(crate) const WORDS: usize = 100_000;

/// Words on a line.
pub(crate) const WORDS_PER_LINE: usize = 13;

/// `SplitMix64`: small, and good enough to draw inputs from.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// A generator that starts at `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(n)) >> 64) as u64
    }

    /// A number in `0..1`.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Ranks `0..n` drawn with a chance that falls as `1 / (rank + 1)^exponent`.
#[derive(Clone, Debug)]
pub(crate) struct Zipf {
    /// The chance of a rank or a lower one.
    cumulated: Vec<f64>,
}

impl Zipf {
    /// The distribution over `n` ranks.
    pub(crate) fn new(n: usize, exponent: f64) -> Self {
        let mut sum = 0.0;
        let mut cumulated: Vec<f64> = (1..=n)
            .map(|rank| {
                sum += (rank as f64).powf(-exponent);
                sum
            })
            .collect();
        for chance in &mut cumulated {
            *chance /= sum;
        }
        Self { cumulated }
    }

    /// Draws a rank.
    pub(crate) fn draw(&self, random: &mut Random) -> usize {
        let at = random.unit();
        self.cumulated
            .partition_point(|&chance| chance <= at)
            .min(self.cumulated.len() - 1)
    }
}

/// `n` distinct lower-case words of 3 to 10 letters, in random order.
pub(crate) fn vocabulary(n: usize, random: &mut Random) -> Vec<String> {
    let mut seen = std::collections::BTreeSet::new();
    let mut words = Vec::with_capacity(n);
    while words.len() < n {
        let len = 3 + random.below(8);
        let word: String = (0..len)
            .map(|_| char::from(b'a' + random.below(26) as u8))
            .collect();
        if seen.insert(word.clone()) {
            words.push(word);
        }
    }
    words
}

/// The text of the word count workload: lines of 13 words, about 98 bytes each,
/// zipf 1.05 over 100 000 words.
pub(crate) fn text(lines: usize) -> Vec<u8> {
    let mut random = Random::new(SEED);
    let words = vocabulary(WORDS, &mut random);
    let zipf = Zipf::new(WORDS, 1.05);
    let mut text = Vec::with_capacity(lines * 100);
    for _ in 0..lines {
        for i in 0..WORDS_PER_LINE {
            if i > 0 {
                text.push(b' ');
            }
            text.extend_from_slice(words[zipf.draw(&mut random)].as_bytes());
        }
        text.push(b'\n');
    }
    text
}

/// A word that about one line in `one_in` of [`text`] holds.
pub(crate) fn needle(one_in: usize) -> String {
    let words = vocabulary(WORDS, &mut Random::new(SEED));
    let zipf = Zipf::new(WORDS, 1.05);
    let wanted = 1.0 / (one_in * WORDS_PER_LINE) as f64;
    // Short words are parts of others; a long one is not.
    let rank = (1..WORDS)
        .find(|&rank| {
            zipf.cumulated[rank] - zipf.cumulated[rank - 1] <= wanted && words[rank].len() >= 7
        })
        .expect("rare words exist");
    words[rank].clone()
}

/// `n` keys, zipf 1.0 over `distinct`, spread over all 64 bits.
pub(crate) fn zipf_keys(n: usize, distinct: usize) -> Vec<u64> {
    let mut random = Random::new(SEED);
    let zipf = Zipf::new(distinct, 1.0);
    (0..n)
        .map(|_| spread(zipf.draw(&mut random) as u64))
        .collect()
}

/// `n` keys, uniform over `distinct`, spread over all 64 bits.
pub(crate) fn uniform_keys(n: usize, distinct: usize) -> Vec<u64> {
    let mut random = Random::new(SEED);
    (0..n)
        .map(|_| spread(random.below(distinct as u64)))
        .collect()
}

/// Keys of real programs are ids, not ranks: one to one onto all 64 bits.
pub(crate) fn spread(rank: u64) -> u64 {
    Random::new(rank).bits()
}
