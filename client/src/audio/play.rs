//! Sound to the loudspeaker.
//!
//! Built with the feature `sound`; without it every function is there and says [`PlayError::NoSoundInBuild`], so a
//! headless machine starts without any sound library.

use std::sync::atomic::AtomicBool;

use thiserror::Error;

use crate::audio::Pcm;

/// Why a note could not be heard. Its file can always be written instead.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PlayError {
    /// Built without the feature `sound`.
    #[error("this build has no sound")]
    NoSoundInBuild,
    /// There is no loudspeaker, or no right to use it.
    #[error("there is no loudspeaker")]
    NoDevice,
    /// Another program holds the loudspeaker.
    #[error("another program uses the loudspeaker")]
    Busy,
    /// The loudspeaker failed, or went away while playing.
    #[error("the loudspeaker failed: {0}")]
    Device(String),
}

/// How playing ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Played {
    /// To the end; the last sample has left the loudspeaker as far as the device tells.
    Whole,
    /// `stop` was set. The fraction, 0.0 to 1.0, was handed to the device by then.
    Stopped {
        /// Part of the sound, by time.
        fraction: f32,
    },
}

/// Plays to the default device and returns when the sound has ended.
///
/// Blocks, so give it a thread of its own. `progress` gets the fraction handed to the device, 0.0 to 1.0, about twenty
/// times a second and at the end. Setting `stop` ends it within about 50 ms.
///
/// # Errors
///
/// See [`PlayError`].
pub fn play(pcm: &Pcm, stop: &AtomicBool, progress: &mut dyn FnMut(f32)) -> Result<Played, PlayError> {
    #[cfg(feature = "sound")]
    {
        device::play(pcm, stop, progress)
    }
    #[cfg(not(feature = "sound"))]
    {
        let _ = (pcm, stop, progress);
        Err(PlayError::NoSoundInBuild)
    }
}

#[cfg(feature = "sound")]
mod device;

#[cfg(all(test, not(feature = "sound")))]
mod tests {
    use super::*;

    #[test]
    fn a_build_without_sound_says_so() {
        let played = play(&Pcm::new(vec![0.0; 48]), &AtomicBool::new(false), &mut |_| {});
        assert_eq!(played, Err(PlayError::NoSoundInBuild));
    }
}
