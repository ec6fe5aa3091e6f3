//! Deterministic chance: a hash of the seed and of what it is for. Nothing here has state, so the
//! order in which things are asked changes nothing.

/// SplitMix64's finalizer: every bit of the input moves every bit of the output.
pub(crate) const fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// A number in `0.0..1.0` from a hash.
pub(crate) fn unit(hash: u64) -> f64 {
    // 53 bits are what a double holds exactly.
    (hash >> 11) as f64 / (1u64 << 53) as f64
}

/// A source of chance for one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(mix(seed))
    }

    /// The dice of a part of this thing.
    pub(crate) fn of(self, what: &str) -> Self {
        // FNV-1a over the text, finished by `mix`.
        let hash = what.bytes().fold(self.0 ^ 0xCBF2_9CE4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
        });
        Self(mix(hash))
    }

    /// The dice of the n-th part of this thing.
    pub(crate) fn nth(self, n: u64) -> Self {
        Self(mix(self.0 ^ mix(n)))
    }

    pub(crate) fn bits(self) -> u64 {
        self.0
    }

    pub(crate) fn unit(self) -> f64 {
        unit(self.0)
    }

    /// A number in `low..high`.
    pub(crate) fn between(self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// A whole number in `low..=high`.
    pub(crate) fn int(self, low: i64, high: i64) -> i64 {
        let span = high.saturating_sub(low).max(0) as u64 + 1;
        low + (self.0 % span) as i64
    }

    /// One of several; the first when chance has no say.
    pub(crate) fn pick<T: Copy>(self, of: &[T]) -> Option<T> {
        of.get((self.0 % of.len().max(1) as u64) as usize).copied()
    }

    /// Random text over an alphabet, as ids of AWS are.
    pub(crate) fn text(self, length: usize, alphabet: &str) -> String {
        let letters: Vec<char> = alphabet.chars().collect();
        (0..length as u64).filter_map(|n| self.nth(n).pick(&letters)).collect()
    }

    pub(crate) fn hex(self, length: usize) -> String {
        self.text(length, "0123456789abcdef")
    }

    /// `8-4-4-4-12` hexadecimal digits.
    pub(crate) fn uuid(self) -> String {
        let hex = self.hex(32);
        let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
        format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
    }
}

/// Capital letters and digits, as in `j-2AXXXXXXGAPLF`.
pub(crate) const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_depends_on_seed_and_purpose_only() {
        let dice = Dice::new(7);
        assert_eq!(dice.of("a").nth(3).bits(), Dice::new(7).of("a").nth(3).bits());
        assert_ne!(dice.of("a").bits(), dice.of("b").bits());
        assert_ne!(dice.of("a").bits(), Dice::new(8).of("a").bits());
        assert_eq!(dice.uuid().len(), 36);
        for n in 0..1000 {
            assert!((3..=5).contains(&dice.nth(n).int(3, 5)));
            assert!((0.0..1.0).contains(&dice.nth(n).unit()));
        }
    }
}
