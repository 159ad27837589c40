//! cpal: PulseAudio (and PipeWire through it) where a server runs, else ALSA; the system's own elsewhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use cpal::{
    BufferSize, Device, ErrorKind, FromSample, OutputCallbackInfo, SampleFormat, SizedSample, Stream, StreamConfig,
    StreamInstant, SupportedBufferSize, SupportedStreamConfig,
};

use crate::audio::play::{PlayError, Played};
use crate::audio::resample::Resampler;
use crate::audio::{Pcm, SAMPLE_RATE};
use crate::limits::IDLE_DEVICE_POLLS_MAX;

/// How often progress is told and `stop` is looked at.
const POLL: Duration = Duration::from_millis(50);

/// How long a device may take to open: a sound server that hangs must not hang us.
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);

/// The device asks for sound in pieces of 100 ms: few enough wake-ups for a telephone, short enough to stop in.
const BUFFERS_PER_SECOND: u32 = 10;

/// What the device's thread tells ours; four kinds of message, each at most once or dropped when we are behind.
const MESSAGES: usize = 8;

enum Message {
    /// The last sample was handed over; on the stream's clock it is heard at this instant.
    Handed(StreamInstant),
    Failed(PlayError),
}

/// The sound as the device wants it, and how far it has come.
struct Tape {
    samples: Vec<f32>,
    position: AtomicUsize,
}

pub(super) fn play(pcm: &Pcm, stop: &AtomicBool, progress: &mut dyn FnMut(f32)) -> Result<Played, PlayError> {
    // ALSA writes its troubles to standard error; for as long as this lives they go to a buffer that nobody reads.
    #[cfg(target_os = "linux")]
    let _quiet = alsa::Output::local_error_handler();
    let device = cpal::default_host().default_output_device().ok_or(PlayError::NoDevice)?;
    let config = choose(&device)?;
    let mut resampler = Resampler::new(SAMPLE_RATE, config.sample_rate()).map_err(|error| described(&error))?;
    resampler.push(&pcm.samples);
    let tape = Arc::new(Tape { samples: resampler.finish(), position: AtomicUsize::new(0) });
    let (sender, messages) = sync_channel(MESSAGES);
    let stream = open(&device, &config, &tape, sender)?;
    stream.play().map_err(translate)?;
    follow(&stream, &tape, &messages, stop, progress)
}

/// 48 kHz if the device has it, else its own favourite; formats that we write, one or two channels if possible.
fn choose(device: &Device) -> Result<SupportedStreamConfig, PlayError> {
    let favourite = device.default_output_config().map_err(translate)?;
    if favourite.sample_rate() == SAMPLE_RATE && writable(favourite.sample_format()) {
        return Ok(favourite);
    }
    let ranges = device.supported_output_configs().map_err(translate)?;
    let fitting = ranges
        .filter(|range| writable(range.sample_format()))
        .filter(|range| range.channels() <= favourite.channels())
        .filter_map(|range| range.try_with_sample_rate(SAMPLE_RATE))
        .max_by_key(SupportedStreamConfig::channels);
    match fitting {
        Some(config) => Ok(config),
        None if writable(favourite.sample_format()) => Ok(favourite),
        None => Err(PlayError::Device(format!("it wants samples as {}", favourite.sample_format()))),
    }
}

fn writable(format: SampleFormat) -> bool {
    matches!(format, SampleFormat::F32 | SampleFormat::I16 | SampleFormat::I32 | SampleFormat::U8)
}

fn open(
    device: &Device,
    config: &SupportedStreamConfig,
    tape: &Arc<Tape>,
    sender: SyncSender<Message>,
) -> Result<Stream, PlayError> {
    let mut settings = config.config();
    if let SupportedBufferSize::Range { min, max } = *config.buffer_size() {
        // Left to themselves sound servers take seconds in advance, and neither progress nor stop would mean anything.
        settings.buffer_size = BufferSize::Fixed((config.sample_rate() / BUFFERS_PER_SECOND).clamp(min, max.max(min)));
    }
    match config.sample_format() {
        SampleFormat::F32 => build::<f32>(device, settings, tape, sender),
        SampleFormat::I16 => build::<i16>(device, settings, tape, sender),
        SampleFormat::I32 => build::<i32>(device, settings, tape, sender),
        SampleFormat::U8 => build::<u8>(device, settings, tape, sender),
        // INVARIANT: `choose` lets no other format pass.
        other => Err(PlayError::Device(format!("it wants samples as {other}"))),
    }
}

fn build<T: SizedSample + FromSample<f32>>(
    device: &Device,
    settings: StreamConfig,
    tape: &Arc<Tape>,
    sender: SyncSender<Message>,
) -> Result<Stream, PlayError> {
    let channels = usize::from(settings.channels.max(1));
    let rate = settings.sample_rate;
    let tape = Arc::clone(tape);
    let failures = sender.clone();
    let mut handed = false;
    let fill = move |buffer: &mut [T], info: &OutputCallbackInfo| {
        let position = tape.position.load(Ordering::Relaxed);
        let rest = tape.samples.get(position..).unwrap_or_default();
        let frames = buffer.len() / channels;
        for (frame, sample) in buffer.chunks_mut(channels).zip(rest.iter().chain(std::iter::repeat(&0.0))) {
            frame.fill(T::from_sample(sample.clamp(-1.0, 1.0)));
        }
        tape.position.store(position + frames.min(rest.len()), Ordering::Relaxed);
        if !handed && rest.len() <= frames {
            handed = true;
            let length = Duration::from_secs(u64::try_from(rest.len()).unwrap_or(0)) / rate.max(1);
            let heard = info.timestamp().playback;
            // Never wait in the device's thread; the watchdog covers a message that finds no room.
            let _ = sender.try_send(Message::Handed(heard.checked_add(length).unwrap_or(heard)));
        }
    };
    let fail = move |error: cpal::Error| {
        // These repair themselves: a click, another loudspeaker, an ordinary priority.
        if !matches!(error.kind(), ErrorKind::Xrun | ErrorKind::DeviceChanged | ErrorKind::RealtimeDenied) {
            let _ = failures.try_send(Message::Failed(translate(error)));
        }
    };
    device.build_output_stream(settings, fill, fail, Some(OPEN_TIMEOUT)).map_err(translate)
}

/// Waits for the end, telling progress, until everything has been heard and not only handed over.
fn follow(
    stream: &Stream,
    tape: &Tape,
    messages: &Receiver<Message>,
    stop: &AtomicBool,
    progress: &mut dyn FnMut(f32),
) -> Result<Played, PlayError> {
    let mut end: Option<StreamInstant> = None;
    let mut last_position = 0;
    let mut idle = 0;
    loop {
        match messages.recv_timeout(POLL) {
            Ok(Message::Handed(instant)) => end = Some(instant),
            Ok(Message::Failed(error)) => return Err(error),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(PlayError::Device("it stopped".into())),
        }
        let position = tape.position.load(Ordering::Relaxed);
        let fraction = fraction(position, tape.samples.len());
        progress(fraction);
        if stop.load(Ordering::Relaxed) {
            return Ok(Played::Stopped { fraction });
        }
        // One poll more than the device says: its estimate of its own delay is rough.
        if end.is_some_and(|end| end.checked_add(POLL).is_none_or(|end| stream.now() >= end)) {
            return Ok(Played::Whole);
        }
        // While sound is handed over the position moves; afterwards only the wait for `end` is left, which is bounded.
        idle = if position == last_position { idle + 1 } else { 0 };
        last_position = position;
        if idle > IDLE_DEVICE_POLLS_MAX {
            return if position >= tape.samples.len() {
                Ok(Played::Whole)
            } else {
                Err(PlayError::Device("it takes no sound".into()))
            };
        }
    }
}

fn fraction(position: usize, total: usize) -> f32 {
    let as_float = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    #[expect(clippy::cast_possible_truncation, reason = "a fraction between 0 and 1; precision does not matter")]
    let fraction = (as_float(position) / as_float(total.max(1))) as f32;
    if total == 0 { 1.0 } else { fraction.min(1.0) }
}

/// An error that has no name of its own here.
fn described(error: &dyn std::error::Error) -> PlayError {
    PlayError::Device(error.to_string())
}

fn translate(error: cpal::Error) -> PlayError {
    match error.kind() {
        ErrorKind::DeviceNotAvailable | ErrorKind::HostUnavailable | ErrorKind::PermissionDenied => PlayError::NoDevice,
        ErrorKind::DeviceBusy => PlayError::Busy,
        _ => described(&error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fraction_goes_from_nothing_to_one() {
        assert!((fraction(0, 480) - 0.0).abs() < f32::EPSILON);
        assert!((fraction(120, 480) - 0.25).abs() < f32::EPSILON);
        assert!((fraction(481, 480) - 1.0).abs() < f32::EPSILON);
        assert!((fraction(0, 0) - 1.0).abs() < f32::EPSILON);
    }

    #[test]
    fn a_device_that_is_gone_is_no_device_and_a_held_one_is_busy() {
        assert_eq!(translate(ErrorKind::HostUnavailable.into()), PlayError::NoDevice);
        assert_eq!(translate(ErrorKind::DeviceBusy.into()), PlayError::Busy);
        assert!(matches!(translate(ErrorKind::UnsupportedConfig.into()), PlayError::Device(_)));
    }
}
