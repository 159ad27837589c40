//! Where randomness comes from: an argument, never a call to the system from here.

/// A source of random bytes fit for keys.
///
/// Programs pass the operating system's generator; the simulated world passes a seeded one.
pub trait Random {
    /// Fills `bytes` with random bytes. An implementation that cannot must end the process: no key may come from a
    /// broken source.
    fn fill(&mut self, bytes: &mut [u8]);
}

impl<R: Random + ?Sized> Random for &mut R {
    fn fill(&mut self, bytes: &mut [u8]) {
        (**self).fill(bytes);
    }
}

impl<R: Random + ?Sized> Random for Box<R> {
    fn fill(&mut self, bytes: &mut [u8]) {
        (**self).fill(bytes);
    }
}

/// Returns `N` random bytes.
pub fn bytes<const N: usize>(random: &mut (impl Random + ?Sized)) -> [u8; N] {
    let mut out = [0; N];
    random.fill(&mut out);
    out
}
