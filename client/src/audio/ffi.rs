//! The only place that calls C: libopus's decoder, through `opusic-sys`.
//!
//! The safe crate `opus` wraps the decoder but offers no way to switch on its speech enhancement (LACE, chosen by the
//! decoder's complexity) or its bandwidth extension, and hides the pointer that would be needed to do so. It can go
//! when that crate has both settings.
//!
//! # Why this is sound
//!
//! - The pointer comes from `opus_decoder_create`, is checked for null, is private, and is destroyed once, in `Drop`.
//! - libopus keeps all state of a decoder behind that pointer and has no thread-local or global mutable state, so the
//!   decoder may move between threads (`Send`). It is not `Sync`: every call takes `&mut self`.
//! - Both settings read exactly one `int` after the request number, and get a `c_int`.
//! - `opus_decode_float` reads `len` bytes from `data` and writes at most `frame_size` mono samples to `pcm`; both come
//!   from Rust slices with their true lengths. A null `data` with length 0 is the documented way to ask for concealment.
#![expect(unsafe_code, reason = "the decoder settings have no safe wrapper; see the module's safety argument")]

use std::ffi::c_int;
use std::fmt;
use std::ptr::{self, NonNull};

use opusic_sys as sys;

/// An error code of libopus, always negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OpusCode(pub(super) c_int);

/// What can be set on a decoder.
#[derive(Debug, Clone, Copy)]
pub(super) enum Setting {
    /// 0 to 10; from 6 on LACE enhances wideband speech.
    Complexity,
    /// 0 or 1: wideband speech gets its missing upper octave back.
    BandwidthExtension,
}

/// A mono 48 kHz libopus decoder.
pub(super) struct RawDecoder(NonNull<sys::OpusDecoder>);

// SAFETY: see the module's argument: no state outside the allocation, every call takes `&mut self`.
unsafe impl Send for RawDecoder {}

impl RawDecoder {
    /// Allocates a decoder.
    pub(super) fn new() -> Result<Self, OpusCode> {
        let mut error: c_int = sys::OPUS_OK;
        // SAFETY: 48 kHz and one channel are valid arguments, `error` outlives the call.
        let pointer = unsafe { sys::opus_decoder_create(48_000, 1, &raw mut error) };
        NonNull::new(pointer).map(Self).ok_or(OpusCode(error))
    }

    /// Changes a setting.
    pub(super) fn set(&mut self, setting: Setting, value: c_int) -> Result<(), OpusCode> {
        let request = match setting {
            Setting::Complexity => sys::OPUS_SET_COMPLEXITY_REQUEST,
            Setting::BandwidthExtension => sys::OPUS_SET_OSCE_BWE_REQUEST,
        };
        // SAFETY: the pointer is live; both requests take one int, which is what is passed.
        let code = unsafe { sys::opus_decoder_ctl(self.0.as_ptr(), request, value) };
        if code == sys::OPUS_OK { Ok(()) } else { Err(OpusCode(code)) }
    }

    /// Decodes one packet, or conceals a missing one if there is none, into `out`; returns the samples written.
    ///
    /// For a packet `out` must have room for its whole duration, else libopus refuses. For concealment the whole of
    /// `out` is filled; its length must be a multiple of 2.5 ms.
    pub(super) fn decode(&mut self, packet: Option<&[u8]>, out: &mut [f32]) -> Result<usize, OpusCode> {
        let (data, length) = match packet {
            Some(packet) if !packet.is_empty() => (packet.as_ptr(), packet.len()),
            _ => (ptr::null(), 0),
        };
        let (Ok(length), Ok(room)) = (i32::try_from(length), c_int::try_from(out.len())) else {
            return Err(OpusCode(sys::OPUS_BAD_ARG));
        };
        // SAFETY: the pointer is live; `data` is null with length 0 or valid for `length` bytes; `out` is valid for
        // `room` mono samples, and libopus writes no more than that.
        let got = unsafe { sys::opus_decode_float(self.0.as_ptr(), data, length, out.as_mut_ptr(), room, 0) };
        usize::try_from(got).map_err(|_| OpusCode(got))
    }
}

impl Drop for RawDecoder {
    fn drop(&mut self) {
        // SAFETY: the pointer came from `opus_decoder_create` and is destroyed only here.
        unsafe { sys::opus_decoder_destroy(self.0.as_ptr()) }
    }
}

impl fmt::Debug for RawDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RawDecoder(..)")
    }
}
