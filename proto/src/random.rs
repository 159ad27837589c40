//! Where randomness comes from: an argument, never a call to the system from here.

use core::convert::Infallible;

use hpke::rand_core::{TryCryptoRng, TryRng};

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

/// A source as the crates of others take it.
#[derive(Debug)]
pub struct Chance<'a, R: Random + ?Sized>(pub &'a mut R);

impl<R: Random + ?Sized> TryRng for Chance<'_, R> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_be_bytes(bytes(self.0)))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_be_bytes(bytes(self.0)))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(bytes);
        Ok(())
    }
}

impl<R: Random + ?Sized> TryCryptoRng for Chance<'_, R> {}

/// Returns `N` random bytes.
pub fn bytes<const N: usize>(random: &mut (impl Random + ?Sized)) -> [u8; N] {
    let mut out = [0; N];
    random.fill(&mut out);
    out
}
