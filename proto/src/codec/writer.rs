/// Writes values one after the other.
#[derive(Clone, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

redacted!(Writer);

impl Writer {
    /// Starts empty.
    pub const fn new() -> Self {
        Self { bytes: Vec::new() }
    }

    /// Returns what was written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Returns what was written so far.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Writes bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// Writes one byte.
    pub fn u8(&mut self, value: u8) -> &mut Self {
        self.bytes(&[value])
    }

    /// Writes two bytes.
    pub fn u16(&mut self, value: u16) -> &mut Self {
        self.bytes(&value.to_be_bytes())
    }

    /// Writes four bytes.
    pub fn u32(&mut self, value: u32) -> &mut Self {
        self.bytes(&value.to_be_bytes())
    }

    /// Writes eight bytes.
    pub fn u64(&mut self, value: u64) -> &mut Self {
        self.bytes(&value.to_be_bytes())
    }

    /// Writes a variable-length integer (RFC 9000 §16) in its shortest form; a value of 2^62 or more is written as 2^62
    /// - 1.
    pub fn varint(&mut self, value: u64) -> &mut Self {
        let value = value.min(VARINT_MAX);
        let length = varint_length(value);
        let bytes = value.to_be_bytes();
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes.split_at(8 - length).1);
        if let Some(first) = self.bytes.get_mut(start) {
            *first |= match length {
                1 => 0x00,
                2 => 0x40,
                4 => 0x80,
                _ => 0xc0,
            };
        }
        self
    }

    /// Writes `length u8 ‖ bytes`, cut at the last whole character that fits 255 bytes. Callers check their own limits
    /// first.
    pub fn text8(&mut self, text: &str) -> &mut Self {
        let text = text.get(..text.floor_char_boundary(255)).unwrap_or_default();
        self.u8(u8::try_from(text.len()).unwrap_or(u8::MAX)).bytes(text.as_bytes())
    }

    /// Writes `count u8` and the values; those after the 255th are left out. Callers check their own limits first.
    pub fn list<T>(&mut self, values: &[T], mut one: impl FnMut(&mut Self, &T)) -> &mut Self {
        let count = u8::try_from(values.len()).unwrap_or(u8::MAX);
        self.u8(count);
        for value in values.iter().take(usize::from(count)) {
            one(self, value);
        }
        self
    }
}

/// The greatest variable-length integer.
const VARINT_MAX: u64 = (1 << 62) - 1;

/// Returns the length of `value` as a variable-length integer: 1, 2, 4 or 8 bytes.
pub(super) const fn varint_length(value: u64) -> usize {
    match value {
        0..=0x3f => 1,
        0x40..=0x3fff => 2,
        0x4000..=0x3fff_ffff => 4,
        _ => 8,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{DecodeError, Reader};
    use super::*;

    #[test]
    fn integers_of_rfc_9000_appendix_a_are_written_and_read_as_there() {
        for (value, bytes) in [
            (151_288_809_941_952_652_u64, &[0xc2_u8, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c][..]),
            (494_878_333, &[0x9d, 0x7f, 0x3e, 0x7d]),
            (15_293, &[0x7b, 0xbd]),
            (37, &[0x25]),
        ] {
            let mut writer = Writer::new();
            assert_eq!(writer.varint(value).as_bytes(), bytes);
            assert_eq!(Reader::new(bytes).varint(), Ok(value));
        }
    }

    #[test]
    fn an_integer_longer_than_it_need_be_is_refused() {
        assert_eq!(Reader::new(&[0x40, 0x25]).varint(), Err(DecodeError::LongVarint));
    }
}
