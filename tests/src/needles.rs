//! Looks for what must be nowhere: keys, ids, bodies and addresses, in every form in which they could be written down.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};

/// Bytes by which a needle is found before it is compared whole.
const START_BYTES: usize = 8;

/// What to look for, each under the name that a failure tells.
#[derive(Debug, Default)]
pub struct Needles {
    long: BTreeMap<[u8; START_BYTES], Vec<Needle>>,
    /// Forms shorter than that, by their bytes: ports above all, of which a world that dials for hours has thousands.
    short: BTreeMap<Vec<u8>, Vec<String>>,
}

#[derive(Debug)]
struct Needle {
    name: String,
    form: Vec<u8>,
}

impl Needles {
    /// Adds bytes: raw, in hexadecimal, in base64 of both alphabets wherever they may begin in it, and as a list of numbers.
    pub fn bytes(&mut self, name: &str, bytes: &[u8]) {
        assert!(bytes.len() >= START_BYTES, "{name} is too short to be told from chance");
        self.add(name, "raw", bytes.to_vec());
        self.add(name, "hex", HEXLOWER.encode(bytes).into_bytes());
        self.add(name, "HEX", HEXUPPER.encode(bytes).into_bytes());
        let numbers: Vec<String> = bytes.iter().map(ToString::to_string).collect();
        self.add(name, "numbers", numbers.join(", ").into_bytes());
        for before in 0..3 {
            // Characters that also tell of neighbouring bytes are left away: 0, 2 or 3 in front, up to 2 at the end.
            let shifted = [&[0; 2][..before], bytes].concat();
            let (front, whole) = ([0, 2, 3][before], shifted.len() / 3 * 4);
            for (form, alphabet) in [("base64", &BASE64_NOPAD), ("base64url", &BASE64URL_NOPAD)] {
                let text = alphabet.encode(&shifted);
                self.add(name, form, text.as_bytes()[front..whole].to_vec());
            }
        }
    }

    /// Adds every stretch of 24 bytes of a body that begins at a multiple of 1 000: a leak of any longer part has one.
    pub fn body(&mut self, name: &str, body: &[u8]) {
        for part in body.chunks(1_000).filter(|part| part.len() >= 24) {
            self.bytes(name, &part[..24]);
        }
    }

    /// Adds an address and port: as text, and the port alone as one follows an address.
    pub fn socket(&mut self, name: &str, socket: SocketAddr) {
        self.text(name, &socket.ip().to_string());
        self.add(name, "port", format!(":{}", socket.port()).into_bytes());
        if let IpAddr::V4(address) = socket.ip() {
            let raw = [&address.octets()[..], &socket.port().to_be_bytes()].concat();
            self.add(name, "raw", raw);
        }
    }

    /// Adds a text as it stands.
    pub fn text(&mut self, name: &str, text: &str) {
        self.add(name, "text", text.as_bytes().to_vec());
    }

    /// Returns how many forms are looked for.
    pub fn len(&self) -> usize {
        self.short.values().map(Vec::len).sum::<usize>() + self.long.values().map(Vec::len).sum::<usize>()
    }

    /// Returns whether nothing is looked for.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the names of what stands in `hay`, with the form in which it does.
    pub fn found_in(&self, hay: &[u8]) -> Vec<String> {
        let mut found = self.short_in(hay);
        for at in 0..hay.len() {
            let Some(start) = hay[at..].first_chunk() else { break };
            for needle in self.long.get(start).into_iter().flatten() {
                if hay[at..].starts_with(&needle.form) {
                    found.push(needle.name.clone());
                }
            }
        }
        found
    }

    fn short_in(&self, hay: &[u8]) -> Vec<String> {
        let begins: BTreeSet<u8> = self.short.keys().filter_map(|form| form.first().copied()).collect();
        let lengths: BTreeSet<usize> = self.short.keys().map(Vec::len).collect();
        let places = hay.iter().enumerate().filter(|(_, byte)| begins.contains(byte)).map(|(at, _)| at);
        let parts = places.flat_map(|at| lengths.iter().filter_map(move |length| hay.get(at..at + length)));
        let found: BTreeSet<&String> = parts.filter_map(|part| self.short.get(part)).flatten().collect();
        found.into_iter().cloned().collect()
    }

    fn add(&mut self, name: &str, how: &str, form: Vec<u8>) {
        let name = format!("{name} ({how})");
        match form.first_chunk() {
            Some(start) => self.long.entry(*start).or_default().push(Needle { name, form }),
            None => self.short.entry(form).or_default().push(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_form_is_found_wherever_it_stands_and_each_once() {
        let mut needles = Needles::default();
        for (name, text) in [("a", ":4711"), ("b", ":47"), ("c", ":99")] {
            needles.text(name, text);
        }
        assert_eq!(needles.found_in(b":4711 and once more :4711"), ["a (text)", "b (text)"]);
        assert!(needles.found_in(b"4711:").is_empty());
        assert_eq!(needles.found_in(b":9:99"), ["c (text)"]);
    }

    #[test]
    fn a_key_is_found_in_every_form_and_at_every_place_of_base64() {
        let key: Vec<u8> = (0..32).map(|i| i * 7 + 3).collect();
        let mut needles = Needles::default();
        needles.bytes("key", &key);
        for before in 0..5_u8 {
            let bytes = [vec![9; before.into()], key.clone(), vec![9; 4]].concat();
            let hays = [
                bytes.clone(),
                format!("{bytes:?}").into_bytes(),
                HEXLOWER.encode(&bytes).into_bytes(),
                HEXUPPER.encode(&bytes).into_bytes(),
                BASE64_NOPAD.encode(&bytes).into_bytes(),
                BASE64URL_NOPAD.encode(&bytes).into_bytes(),
            ];
            for hay in hays {
                assert!(!needles.found_in(&hay).is_empty(), "{before} {}", String::from_utf8_lossy(&hay));
            }
        }
        assert!(needles.found_in(b"nothing of it is in here, nor 3, 10, 17").is_empty());
    }
}
