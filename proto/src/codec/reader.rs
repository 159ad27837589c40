use super::DecodeError;

/// Reads values from a slice, front to back.
#[derive(Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

redacted!(Reader<'_>);

impl<'a> Reader<'a> {
    /// Starts at the front of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Returns what has not been read yet.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Returns whether all has been read.
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Reads `count` bytes.
    ///
    /// # Errors
    /// [`DecodeError::Short`].
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let Some((front, rest)) = self.rest.split_at_checked(count) else {
            return Err(DecodeError::Short { expected: count, got: self.rest.len() });
        };
        self.rest = rest;
        Ok(front)
    }

    /// Reads `N` bytes.
    ///
    /// # Errors
    /// [`DecodeError::Short`].
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let Some((front, rest)) = self.rest.split_first_chunk::<N>() else {
            return Err(DecodeError::Short { expected: N, got: self.rest.len() });
        };
        self.rest = rest;
        Ok(*front)
    }

    /// Reads one byte.
    ///
    /// # Errors
    /// [`DecodeError::Short`].
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    /// Reads two bytes.
    ///
    /// # Errors
    /// [`DecodeError::Short`].
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    /// Reads four bytes.
    ///
    /// # Errors
    /// [`DecodeError::Short`].
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    /// Reads eight bytes.
    ///
    /// # Errors
    /// [`DecodeError::Short`].
    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    /// Reads a variable-length integer (RFC 9000 §16) in its shortest form.
    ///
    /// # Errors
    /// [`DecodeError::Short`], [`DecodeError::LongVarint`].
    pub fn varint(&mut self) -> Result<u64, DecodeError> {
        let first = *self.rest.first().ok_or(DecodeError::Short { expected: 1, got: 0 })?;
        let length = 1_usize << (first >> 6);
        let bytes = self.bytes(length)?;
        let value = bytes.iter().skip(1).fold(u64::from(first & 0x3f), |value, byte| value << 8 | u64::from(*byte));
        if super::writer::varint_length(value) == length { Ok(value) } else { Err(DecodeError::LongVarint) }
    }

    /// Reads `length u8 ‖ bytes` as UTF-8 of at most `limit` bytes (P1.8).
    ///
    /// # Errors
    /// [`DecodeError::Short`], [`DecodeError::TooLong`], [`DecodeError::Text`].
    pub fn text8(&mut self, field: &'static str, limit: usize) -> Result<&'a str, DecodeError> {
        let length = usize::from(self.u8()?);
        if length > limit {
            return Err(DecodeError::TooLong { field, got: length, expected: limit });
        }
        core::str::from_utf8(self.bytes(length)?).map_err(|_| DecodeError::Text { field })
    }

    /// Reads `count u8` and that many values (P1.8).
    ///
    /// # Errors
    /// [`DecodeError::TooLong`] above `limit`, and whatever `one` returns.
    pub fn list<T>(
        &mut self,
        field: &'static str,
        limit: usize,
        mut one: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let count = usize::from(self.u8()?);
        if count > limit {
            return Err(DecodeError::TooLong { field, got: count, expected: limit });
        }
        (0..count).map(|_| one(self)).collect()
    }
}
