//! QR codes of links and return codes: on a terminal, as PNG and SVG, and read back from a picture.

use std::io::{self, BufRead, Seek, Write};

use png::{BitDepth, ColorType, Decoder, DecodingError, Encoder, Limits, Transformations};
use qrcode::render::{svg, unicode::Dense1x2};
use qrcode::{EcLevel, QrCode};
use rqrr::{DeQRError, PreparedImage};
use thiserror::Error;

use crate::limits::{PICTURE_BYTES_MAX, PICTURE_PIXELS_MAX};

/// Pixels of one module in a PNG: a code of 61 modules fills half a telephone's screen, and prints 4 cm wide.
const MODULE_PIXELS: u32 = 8;

/// Light modules around a code (ISO/IEC 18004 asks for four).
const QUIET_MODULES: usize = 4;

/// How a code looks on a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    /// Black on white by colour sequences: right on every background.
    Colour,
    /// Without colour sequences: right on a dark background, inverted on a light one, which most cameras read too.
    Plain,
}

/// A code could not be made.
#[derive(Debug, Error)]
pub enum DrawError {
    /// More text than the largest code holds.
    #[error("the text is too long for a QR code")]
    TooLong,
    /// The picture could not be written.
    #[error("could not write: {0}")]
    Io(#[from] io::Error),
}

/// No code was read from a picture.
#[derive(Debug, Error)]
pub enum ReadError {
    /// No PNG, or a damaged one.
    #[error("this is not a PNG picture, or it is damaged")]
    NotPng,
    /// More pixels than a camera makes.
    #[error("the picture has {got} pixels, more than {max}")]
    TooBig {
        /// Pixels of the picture.
        got: u64,
        /// Pixels it may have.
        max: u64,
    },
    /// Nothing in it looks like a code.
    #[error("there is no QR code in the picture")]
    NoCode,
    /// There is one, and it cannot be read: blurred, covered or cut.
    #[error("the QR code cannot be read")]
    Unreadable,
    /// There are several, with different texts.
    #[error("there are several QR codes in the picture")]
    Several,
    /// The picture could not be read from the disk.
    #[error("could not read: {0}")]
    Io(#[source] io::Error),
}

/// Draws a code with half blocks, two modules a letter high, for a terminal.
///
/// # Errors
///
/// [`DrawError::TooLong`].
pub fn for_terminal(text: &str, ink: Ink) -> Result<String, DrawError> {
    let code = code(text)?;
    let mut renderer = code.render::<Dense1x2>();
    match ink {
        Ink::Colour => {
            let rows = renderer.build();
            // 16 and 231 are black and white of the fixed palette: themes do not change them.
            let coloured = rows.lines().map(|row| format!("\u{1b}[38;5;16;48;5;231m{row}\u{1b}[0m\n"));
            Ok(coloured.collect())
        }
        Ink::Plain => {
            let rows = renderer.dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build();
            Ok(rows + "\n")
        }
    }
}

/// Draws a code as an SVG document.
///
/// # Errors
///
/// [`DrawError::TooLong`].
pub fn svg(text: &str) -> Result<String, DrawError> {
    Ok(code(text)?.render::<svg::Color<'_>>().module_dimensions(MODULE_PIXELS, MODULE_PIXELS).build())
}

/// Draws a code as a PNG picture, grey with one bit a pixel.
///
/// # Errors
///
/// [`DrawError::TooLong`]; [`DrawError::Io`] if the destination refuses.
pub fn png(text: &str, destination: impl Write) -> Result<(), DrawError> {
    let code = code(text)?;
    let modules = code.width();
    let colours = code.into_colors();
    let side = modules + 2 * QUIET_MODULES;
    let scale = usize::try_from(MODULE_PIXELS).map_err(|_| DrawError::TooLong)?;
    let mut pixels = Vec::with_capacity(side * scale * side * scale);
    for row in 0..side * scale {
        for column in 0..side * scale {
            let (y, x) = ((row / scale).checked_sub(QUIET_MODULES), (column / scale).checked_sub(QUIET_MODULES));
            let dark = match (y, x) {
                (Some(y), Some(x)) if y < modules && x < modules => {
                    colours.get(y * modules + x).is_some_and(|colour| *colour == qrcode::Color::Dark)
                }
                _ => false,
            };
            pixels.push(if dark { 0 } else { u8::MAX });
        }
    }
    let width = u32::try_from(side * scale).map_err(|_| DrawError::TooLong)?;
    let mut encoder = Encoder::new(destination, width, width);
    encoder.set_color(ColorType::Grayscale);
    encoder.set_depth(BitDepth::Eight);
    let mut writer = encoder.write_header().map_err(png_error)?;
    writer.write_image_data(&pixels).map_err(png_error)?;
    writer.finish().map_err(png_error)
}

fn code(text: &str) -> Result<QrCode, DrawError> {
    // Medium correction: a scratched screen still scans, and a link of 250 letters stays small enough for a terminal.
    QrCode::with_error_correction_level(text, EcLevel::M).map_err(|_| DrawError::TooLong)
}

fn png_error(error: png::EncodingError) -> DrawError {
    DrawError::Io(match error {
        png::EncodingError::IoError(error) => error,
        other => io::Error::other(other.to_string()),
    })
}

/// Reads the one code in a PNG picture of any colour type.
///
/// # Errors
///
/// See [`ReadError`].
pub fn read_png(picture: impl BufRead + Seek) -> Result<String, ReadError> {
    let grey = grey_from_png(picture)?;
    let (width, height) = (grey.width, grey.height);
    let mut prepared = PreparedImage::prepare_from_greyscale(width, height, |x, y| {
        grey.pixels.get(y * width + x).copied().unwrap_or(u8::MAX)
    });
    let grids = prepared.detect_grids();
    if grids.is_empty() {
        return Err(ReadError::NoCode);
    }
    let mut texts: Vec<String> = Vec::new();
    for grid in grids {
        let decoded: Result<_, DeQRError> = grid.decode();
        if let Ok((_, text)) = decoded
            && !texts.contains(&text)
        {
            texts.push(text);
        }
    }
    match texts.len() {
        0 => Err(ReadError::Unreadable),
        1 => texts.pop().ok_or(ReadError::Unreadable),
        _ => Err(ReadError::Several),
    }
}

/// A picture in shades of grey, row by row, 0 black.
struct Grey {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

fn grey_from_png(picture: impl BufRead + Seek) -> Result<Grey, ReadError> {
    let mut decoder = Decoder::new_with_limits(picture, Limits { bytes: PICTURE_BYTES_MAX });
    decoder.set_transformations(Transformations::normalize_to_color8());
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let header = decoder.read_header_info().map_err(decoding)?;
    let (width, height) = (header.width, header.height);
    let pixels = u64::from(width) * u64::from(height);
    if pixels > PICTURE_PIXELS_MAX {
        return Err(ReadError::TooBig { got: pixels, max: PICTURE_PIXELS_MAX });
    }
    let mut reader = decoder.read_info().map_err(decoding)?;
    let mut bytes = vec![0; reader.output_buffer_size().ok_or(ReadError::NotPng)?];
    let frame = reader.next_frame(&mut bytes).map_err(decoding)?;
    bytes.truncate(frame.buffer_size());
    let pixels = match frame.color_type {
        ColorType::Grayscale => bytes,
        ColorType::GrayscaleAlpha => bytes.chunks_exact(2).map(|pixel| on_white(at(pixel, 0), at(pixel, 1))).collect(),
        ColorType::Rgb => bytes.chunks_exact(3).map(luminance).collect(),
        ColorType::Rgba => bytes.chunks_exact(4).map(|pixel| on_white(luminance(pixel), at(pixel, 3))).collect(),
        ColorType::Indexed => return Err(ReadError::NotPng), // the transformation above expands palettes
    };
    Ok(Grey {
        width: usize::try_from(width).map_err(|_| ReadError::NotPng)?,
        height: usize::try_from(height).map_err(|_| ReadError::NotPng)?,
        pixels,
    })
}

fn decoding(error: DecodingError) -> ReadError {
    match error {
        DecodingError::IoError(error) if error.kind() != io::ErrorKind::UnexpectedEof => ReadError::Io(error),
        DecodingError::LimitsExceeded => {
            ReadError::TooBig { got: u64::try_from(PICTURE_BYTES_MAX).unwrap_or(u64::MAX), max: PICTURE_PIXELS_MAX }
        }
        _ => ReadError::NotPng,
    }
}

/// Rec. 601 weights of red, green and blue, in thousandths.
fn luminance(pixel: &[u8]) -> u8 {
    let weighted = u32::from(at(pixel, 0)) * 299 + u32::from(at(pixel, 1)) * 587 + u32::from(at(pixel, 2)) * 114;
    u8::try_from(weighted / 1_000).unwrap_or(u8::MAX)
}

/// Lays a pixel of this opacity over white: screenshots of codes often have a transparent ground.
fn on_white(grey: u8, opacity: u8) -> u8 {
    let (grey, opacity) = (u32::from(grey), u32::from(opacity));
    u8::try_from((grey * opacity + 255 * (255 - opacity)) / 255).unwrap_or(u8::MAX)
}

fn at(pixel: &[u8], index: usize) -> u8 {
    pixel.get(index).copied().unwrap_or_default()
}

#[cfg(test)]
#[path = "qr_tests.rs"]
mod tests;
