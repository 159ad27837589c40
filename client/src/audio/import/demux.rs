//! symphonia: from a container to planes of samples, and an honest account of what did not come.

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::LazyLock;

use symphonia::core::codecs::CodecParameters;
use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::codecs::registry::CodecRegistry;
use symphonia::core::errors::Error;
use symphonia::core::formats::{FormatOptions, FormatReader, TrackType};
use symphonia::core::io::{MediaSource, MediaSourceStream, MediaSourceStreamOptions};
use symphonia::core::packet::Packet;
use symphonia::core::units::{Duration, TimeBase};
use symphonia::default::formats::{
    AdtsReader, AiffReader, CafReader, FlacReader, IsoMp4Reader, MkvReader, MpaReader, OggReader, WavReader,
};

use crate::audio::SAMPLE_RATE;
use crate::audio::import::ImportError;
use crate::audio::import::container::{Container, Source};
use crate::limits::{IMPORT_CHANNELS_MAX, IMPORT_END_SLACK_SAMPLES, NOTE_SAMPLES_MAX, NOTE_SECONDS_MAX};

static DECODERS: LazyLock<CodecRegistry> = LazyLock::new(|| {
    let mut decoders = CodecRegistry::new();
    symphonia::default::register_enabled_codecs(&mut decoders);
    decoders.register_audio_decoder::<symphonia_adapter_libopus::OpusDecoder>();
    decoders
});

/// The sound track that is listened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Track {
    id: u32,
    /// Samples per second and channel.
    pub(super) rate: u32,
    channels: usize,
    /// Samples per channel that the file says it has, if it does.
    declared_frames: Option<u64>,
}

/// What listening to the whole track gave.
#[derive(Debug, Clone, Copy)]
pub(super) struct Listened {
    /// Samples per second and channel.
    pub(super) rate: u32,
    /// Samples per channel that were decoded.
    pub(super) frames: u64,
    /// Samples per channel that the file says it has, if it does.
    pub(super) declared_frames: Option<u64>,
    /// Packets read.
    pub(super) packets: u64,
    /// Packets that could not be decoded.
    pub(super) lost: u64,
    /// The last packet was among them.
    pub(super) last_lost: bool,
    /// The bytes ended where the container did not expect it.
    pub(super) ended_early: bool,
    /// A checksum over the sound did not fit, or the container fell apart in the middle.
    pub(super) failed_check: bool,
}

impl Listened {
    /// Seconds of sound that were decoded.
    pub(super) fn seconds(&self) -> f64 {
        let milliseconds = self.frames.saturating_mul(1_000) / u64::from(self.rate.max(1));
        f64::from(u32::try_from(milliseconds).unwrap_or(u32::MAX)) / 1_000.0
    }
}

/// Takes one piece of decoded sound: a vector per channel, all of one length.
pub(super) type Sink<'a> = dyn FnMut(Track, &[Vec<f32>]) -> Result<(), ImportError> + 'a;

/// Decodes the file's sound track into `sink`, at most as long as a note may be.
pub(super) fn listen(
    source: &mut dyn Source,
    container: Container,
    start: u64,
    sink: &mut Sink<'_>,
) -> Result<Listened, ImportError> {
    let mut reader = open(source, container, start)?;
    let (mut track, mut decoder) = choose(reader.as_ref(), container)?;
    let most = (NOTE_SAMPLES_MAX + IMPORT_END_SLACK_SAMPLES) * u64::from(track.rate) / u64::from(SAMPLE_RATE);
    let mut listened = Listened {
        rate: track.rate,
        frames: 0,
        declared_frames: track.declared_frames,
        packets: 0,
        lost: 0,
        last_lost: false,
        ended_early: false,
        failed_check: false,
    };
    let mut planes: Vec<Vec<f32>> = Vec::new();
    loop {
        let packet = match reader.next_packet() {
            Ok(Some(packet)) if packet.track_id == track.id => packet,
            Ok(Some(_)) => continue,
            Ok(None) => break,
            // Another stream begins behind the first, as when two Ogg files are joined.
            Err(Error::ResetRequired) => {
                let (next, next_decoder) = choose(reader.as_ref(), container)?;
                if (next.rate, next.channels) != (track.rate, track.channels) {
                    return Err(ImportError::Unsupported { what: "streams of different kinds in one file" });
                }
                (track, decoder) = (next, next_decoder);
                continue;
            }
            Err(Error::IoError(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                listened.ended_early = true;
                break;
            }
            Err(Error::IoError(error)) => return Err(ImportError::Unreadable(error)),
            Err(_) => {
                listened.failed_check = true;
                break;
            }
        };
        listened.packets += 1;
        listened.last_lost = !decode(decoder.as_mut(), &packet, track, &mut planes)?;
        if listened.last_lost {
            listened.lost += 1;
            continue;
        }
        if container == Container::Mp3 {
            drop_first(&mut planes, packet.trim_start);
        }
        listened.frames += planes.first().map_or(0, |plane| u64::try_from(plane.len()).unwrap_or(u64::MAX));
        if listened.frames > most {
            return Err(too_long(reader.as_mut(), track, &listened));
        }
        sink(track, &planes)?;
    }
    listened.failed_check |= decoder.finalize().verify_ok == Some(false);
    Ok(listened)
}

/// Decodes one packet into `planes`; `false` if it is damaged.
fn decode(
    decoder: &mut dyn AudioDecoder,
    packet: &Packet,
    track: Track,
    planes: &mut Vec<Vec<f32>>,
) -> Result<bool, ImportError> {
    match decoder.decode(packet) {
        Ok(sound) => {
            if (sound.spec().rate(), sound.num_planes()) != (track.rate, track.channels) {
                return Err(ImportError::Unsupported { what: "a change of rate or channels within the sound" });
            }
            sound.copy_to_vecs_planar(planes);
            Ok(true)
        }
        Err(Error::Unsupported(what)) => Err(ImportError::Unsupported { what }),
        Err(_) => Ok(false),
    }
}

/// Drops so many samples at the start of a piece of sound.
fn drop_first(planes: &mut [Vec<f32>], samples: Duration) {
    let samples = usize::try_from(samples.get()).unwrap_or(usize::MAX);
    for plane in planes {
        plane.drain(..samples.min(plane.len()));
    }
}

/// Opens the container.
fn open<'s>(
    source: &'s mut dyn Source,
    container: Container,
    start: u64,
) -> Result<Box<dyn FormatReader + 's>, ImportError> {
    let end = source.seek(SeekFrom::End(0)).map_err(ImportError::Unreadable)?;
    source.seek(SeekFrom::Start(start)).map_err(ImportError::Unreadable)?;
    // Without a count of frames, the MP3 reader guesses one from the length of the file and then cuts the sound there.
    let seekable = container != Container::Mp3;
    // The outer length of a WAV is wrong in many files (0, or from before the last write) and would end the search for the
    // sound; all ones means unknown.
    let blind = if container == Container::Wav { 4..8 } else { 0..0 };
    let media = Media { source, start, length: end.saturating_sub(start), seekable, position: 0, blind };
    let stream = MediaSourceStream::new(Box::new(media), MediaSourceStreamOptions::default());
    let options = FormatOptions::default();
    let opened: Result<Box<dyn FormatReader + 's>, Error> = match container {
        Container::Wav => WavReader::try_new(stream, options).map(boxed),
        Container::Aiff => AiffReader::try_new(stream, options).map(boxed),
        Container::Caf => CafReader::try_new(stream, options).map(boxed),
        Container::Flac => FlacReader::try_new(stream, options).map(boxed),
        Container::Mp3 => MpaReader::try_new(stream, options).map(boxed),
        Container::Adts => AdtsReader::try_new(stream, options).map(boxed),
        Container::Ogg => OggReader::try_new(stream, options).map(boxed),
        Container::Mp4 => IsoMp4Reader::try_new(stream, options).map(boxed),
        Container::Matroska => MkvReader::try_new(stream, options).map(boxed),
    };
    opened.map_err(|error| match error {
        // The whole file was searched: an Ogg stream of a kind that is not known here, a FLAC cut in its first frame,
        // elsewhere headers that make no sense.
        Error::IoError(error) if error.kind() == io::ErrorKind::UnexpectedEof => match container {
            Container::Ogg => ImportError::Unsupported { what: "codec" },
            Container::Flac => ImportError::Truncated { got_s: 0.0 },
            _ => ImportError::Corrupt,
        },
        Error::IoError(error) => ImportError::Unreadable(error),
        Error::Unsupported(what) => ImportError::Unsupported { what },
        _ => ImportError::Corrupt,
    })
}

fn boxed<'s, F: FormatReader + 's>(reader: F) -> Box<dyn FormatReader + 's> {
    Box::new(reader)
}

/// The track to listen to, and a decoder for it.
fn choose(reader: &dyn FormatReader, container: Container) -> Result<(Track, Box<dyn AudioDecoder>), ImportError> {
    let Some(track) = reader.default_track(TrackType::Audio) else {
        let unknown = reader.tracks().iter().any(|track| track.codec_params.is_none());
        return Err(if unknown { ImportError::Unsupported { what: "codec" } } else { ImportError::NoAudioTrack });
    };
    let Some(CodecParameters::Audio(parameters)) = &track.codec_params else {
        return Err(ImportError::NoAudioTrack);
    };
    // The MP3 reader cuts all sound behind the number of frames in the file's header, which in files that were joined or
    // edited is the number of another file. So only the delay at the start is dropped, by `drop_first`.
    let mp3 = container == Container::Mp3;
    let options = AudioDecoderOptions::default().verify(true).gapless(!mp3);
    let decoder = DECODERS.make_audio_decoder(parameters, &options).map_err(|error| match error {
        Error::Unsupported(what) => ImportError::Unsupported { what },
        _ => ImportError::Corrupt,
    })?;
    // The decoder knows better than the container, where both say it.
    let decided = decoder.codec_params();
    let rate = decided.sample_rate.or(parameters.sample_rate);
    let channels = decided.channels.as_ref().or(parameters.channels.as_ref()).map(|channels| channels.count());
    let (Some(rate), Some(channels)) = (rate, channels) else {
        return Err(ImportError::Unsupported { what: "sound without a rate or channels" });
    };
    if !(1..=IMPORT_CHANNELS_MAX).contains(&channels) {
        return Err(ImportError::Unsupported { what: "number of channels" });
    }
    let padding = if mp3 { u64::from(track.padding.unwrap_or(0)) } else { 0 };
    let declared_frames = track.num_frames.map(|frames| frames.saturating_add(padding));
    Ok((Track { id: track.id, rate, channels, declared_frames }, decoder))
}

/// The refusal of a recording that is too long, with its true length as far as the container tells without decoding.
fn too_long(reader: &mut dyn FormatReader, track: Track, listened: &Listened) -> ImportError {
    let time_base = reader.tracks().iter().find(|candidate| candidate.id == track.id).and_then(|found| found.time_base);
    let mut rest = Duration::ZERO;
    while let Ok(Some(packet)) = reader.next_packet() {
        if packet.track_id == track.id {
            rest = rest.saturating_add(packet.dur);
        }
    }
    let rest = time_base.and_then(|base: TimeBase| base.calc_duration(rest)).map_or(0, |rest| rest.as_secs());
    let heard = listened.frames.div_ceil(u64::from(listened.rate.max(1)));
    ImportError::TooLong { got_s: heard.saturating_add(u64::try_from(rest).unwrap_or(0)), max_s: NOTE_SECONDS_MAX }
}

/// The file as symphonia wants it: from where the sound begins.
struct Media<'a> {
    source: &'a mut dyn Source,
    start: u64,
    length: u64,
    seekable: bool,
    /// Where the next byte comes from, counted from `start`.
    position: u64,
    /// Bytes that are read as 0xff.
    blind: Range<u64>,
}

impl Read for Media<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.source.read(buffer)?;
        for (at, byte) in (self.position..).zip(buffer.iter_mut().take(got)) {
            if at >= self.blind.end {
                break;
            }
            if at >= self.blind.start {
                *byte = 0xff;
            }
        }
        self.position += u64::try_from(got).unwrap_or(0);
        Ok(got)
    }
}

impl Seek for Media<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let to = match to {
            SeekFrom::Start(offset) => SeekFrom::Start(self.start.saturating_add(offset)),
            other => other,
        };
        let position = self.source.seek(to)?;
        position.checked_sub(self.start).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))
    }
}

impl MediaSource for Media<'_> {
    fn is_seekable(&self) -> bool {
        self.seekable
    }

    fn byte_len(&self) -> Option<u64> {
        Some(self.length)
    }
}
