use std::io::Cursor;

use proptest::prelude::*;

use super::*;

/// As long as an invitation link gets (P6.1 with an address of 80 bytes).
fn long_link() -> String {
    format!("zajil:{}", "AQBl_-9z".repeat(32))
}

fn drawn(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    png(text, &mut bytes).unwrap();
    bytes
}

/// The same picture in another colour type, with the code in dark red on a light or transparent ground.
fn recoloured(text: &str, colour: ColorType, depth: BitDepth) -> Vec<u8> {
    let grey = grey_from_png(Cursor::new(drawn(text))).unwrap();
    let (width, height) = (u32::try_from(grey.width).unwrap(), u32::try_from(grey.height).unwrap());
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, width, height);
    encoder.set_color(colour);
    encoder.set_depth(depth);
    if colour == ColorType::Indexed {
        encoder.set_palette([0x60, 0x00, 0x10, 0xf4, 0xf0, 0xe8].as_slice());
    }
    let mut data = Vec::new();
    for pixel in grey.pixels {
        let dark = pixel == 0;
        let samples: &[u8] = match colour {
            ColorType::Indexed if dark => &[0],
            ColorType::Indexed => &[1],
            ColorType::Grayscale if dark => &[30],
            ColorType::Grayscale => &[240],
            ColorType::GrayscaleAlpha if dark => &[0, 255],
            ColorType::GrayscaleAlpha => &[0, 0],
            ColorType::Rgb if dark => &[0x60, 0x00, 0x10],
            ColorType::Rgb => &[0xf4, 0xf0, 0xe8],
            ColorType::Rgba if dark => &[0x60, 0x00, 0x10, 0xff],
            ColorType::Rgba => &[0x00, 0x00, 0x00, 0x00],
        };
        for sample in samples {
            data.push(*sample);
            if depth == BitDepth::Sixteen {
                data.push(0);
            }
        }
    }
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&data).unwrap();
    writer.finish().unwrap();
    bytes
}

#[test]
fn a_link_drawn_as_png_is_read_back() {
    for text in ["zajil-back:AQ", "zajil:abc", &long_link()] {
        assert_eq!(read_png(Cursor::new(drawn(text))).unwrap(), text);
    }
}

#[test]
fn every_colour_type_of_png_is_read() {
    let link = long_link();
    for colour in [ColorType::Grayscale, ColorType::GrayscaleAlpha, ColorType::Rgb, ColorType::Rgba, ColorType::Indexed]
    {
        let read = read_png(Cursor::new(recoloured(&link, colour, BitDepth::Eight)));
        assert_eq!(read.unwrap(), link, "{colour:?} of 8 bits");
    }
    for colour in [ColorType::Grayscale, ColorType::Rgb, ColorType::Rgba] {
        let read = read_png(Cursor::new(recoloured(&link, colour, BitDepth::Sixteen)));
        assert_eq!(read.unwrap(), link, "{colour:?} of 16 bits");
    }
}

#[test]
fn what_a_terminal_shows_is_the_code() {
    let link = long_link();
    let shown = for_terminal(&link, Ink::Plain).unwrap();
    let rows: Vec<Vec<char>> = shown.lines().map(|row| row.chars().collect()).collect();
    let (width, height) = (rows[0].len(), rows.len() * 2);
    assert!(width <= 79, "{width} columns do not fit a terminal of 80");
    let scale = 4;
    let mut prepared = PreparedImage::prepare_from_greyscale(width * scale, height * scale, |x, y| {
        let letter = rows[y / scale / 2][x / scale];
        let lit = match letter {
            '█' => true,
            '▀' => (y / scale).is_multiple_of(2),
            '▄' => !(y / scale).is_multiple_of(2),
            _ => false,
        };
        if lit { 255 } else { 0 }
    });
    let grids = prepared.detect_grids();
    assert_eq!(grids[0].decode().unwrap().1, link);
}

#[test]
fn a_coloured_terminal_shows_the_negative_letters_on_white() {
    let plain = for_terminal("zajil:abc", Ink::Plain).unwrap();
    let coloured = for_terminal("zajil:abc", Ink::Colour).unwrap();
    assert!(!plain.contains('\u{1b}'), "NO_COLOR is kept");
    for (plain, coloured) in plain.lines().zip(coloured.lines()) {
        let negative: String = plain
            .chars()
            .map(|letter| match letter {
                '█' => ' ',
                '▀' => '▄',
                '▄' => '▀',
                _ => '█',
            })
            .collect();
        assert!(coloured.contains(&negative) || plain.contains('▀'), "{plain:?} against {coloured:?}");
        assert!(coloured.starts_with("\u{1b}[") && coloured.ends_with("\u{1b}[0m"));
    }
}

#[test]
fn svg_is_a_whole_document() {
    let document = svg(&long_link()).unwrap();
    assert!(document.starts_with("<?xml") && document.ends_with("</svg>"));
}

#[test]
fn a_text_beyond_the_largest_code_is_refused() {
    assert!(matches!(svg(&"a".repeat(4_000)), Err(DrawError::TooLong)));
}

#[test]
fn pictures_without_a_code_say_which_way_they_fail() {
    assert!(matches!(read_png(Cursor::new(b"\xff\xd8\xff\xe0 a photograph")), Err(ReadError::NotPng)));
    assert!(matches!(read_png(Cursor::new(b"")), Err(ReadError::NotPng)));
    let whole = drawn("zajil:abc");
    assert!(matches!(read_png(Cursor::new(&whole[..whole.len() / 2])), Err(ReadError::NotPng)));

    let mut blank = Vec::new();
    let mut writer = Encoder::new(&mut blank, 64, 64).write_header().unwrap();
    writer.write_image_data(&[200; 64 * 64]).unwrap();
    writer.finish().unwrap();
    assert!(matches!(read_png(Cursor::new(blank)), Err(ReadError::NoCode)));
}

#[test]
fn a_code_that_is_covered_is_called_unreadable() {
    let grey = grey_from_png(Cursor::new(drawn(&long_link()))).unwrap();
    let (width, height) = (grey.width, grey.height);
    let mut pixels = grey.pixels;
    // The finder patterns in three corners stay, the middle is painted over.
    for y in height / 4..height * 3 / 4 {
        for x in width / 4..width * 3 / 4 {
            pixels[y * width + x] = 0;
        }
    }
    let mut covered = Vec::new();
    let (w, h) = (u32::try_from(width).unwrap(), u32::try_from(height).unwrap());
    let mut writer = Encoder::new(&mut covered, w, h).write_header().unwrap();
    writer.write_image_data(&pixels).unwrap();
    writer.finish().unwrap();
    assert!(matches!(read_png(Cursor::new(covered)), Err(ReadError::Unreadable)));
}

#[test]
fn two_different_codes_in_one_picture_are_not_guessed_between() {
    let first = grey_from_png(Cursor::new(drawn("zajil:one"))).unwrap();
    let second = grey_from_png(Cursor::new(drawn("zajil:two"))).unwrap();
    let mut pixels = Vec::new();
    for (left, right) in first.pixels.chunks(first.width).zip(second.pixels.chunks(second.width)) {
        pixels.extend_from_slice(left);
        pixels.extend_from_slice(right);
    }
    let mut both = Vec::new();
    let (w, h) = (u32::try_from(first.width * 2).unwrap(), u32::try_from(first.height).unwrap());
    let mut writer = Encoder::new(&mut both, w, h).write_header().unwrap();
    writer.write_image_data(&pixels).unwrap();
    writer.finish().unwrap();
    assert!(matches!(read_png(Cursor::new(both)), Err(ReadError::Several)));
}

#[test]
fn a_picture_larger_than_any_camera_makes_is_not_unpacked() {
    let mut bomb = Vec::new();
    let side = 60_000;
    let mut encoder = Encoder::new(&mut bomb, side, side);
    encoder.set_depth(BitDepth::One);
    drop(encoder.write_header().unwrap());
    assert!(matches!(read_png(Cursor::new(bomb)), Err(ReadError::TooBig { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn changed_bytes_never_panic(position in 8_usize..600, value: u8) {
        let mut picture = drawn("zajil:abc");
        let position = position % picture.len();
        picture[position] = value;
        let _ = read_png(Cursor::new(picture));
    }
}
