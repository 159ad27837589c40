#!/usr/bin/env python3
"""An independent model of P2 to P7, written from docs/PROTOCOL.md alone, which makes the files sealing_*.txt beside it.

The Rust tests read those files and need no Python. Run this again (Python 3.11, the package `cryptography` 48 or newer with
ML-KEM) only to add a vector; an existing one may not change, because version 1 is fixed. With a folder as its argument it writes
there: `tests/tests/golden_model.rs` compares, where that package is.
"""

import base64
import hashlib
import hmac
import struct
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

HERE = Path(__file__).parent
OUT = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE


# --- P1: conventions -------------------------------------------------------------------------------------------------

def u8(n): return struct.pack(">B", n)
def u16(n): return struct.pack(">H", n)
def u32(n): return struct.pack(">I", n)
def u64(n): return struct.pack(">Q", n)


def varint(n):
    for bits, tag, size in ((6, 0, 1), (14, 1, 2), (30, 2, 4), (62, 3, 8)):
        if n < 1 << bits:
            return (n | tag << (8 * size - 2)).to_bytes(size, "big")
    raise ValueError(n)


def text8(text): return u8(len(text.encode())) + text.encode()
def listed(items): return u8(len(items)) + b"".join(items)
def H(*parts): return hashlib.sha256(b"".join(parts)).digest()


def hkdf(salt, ikm, info, n):
    prk = hmac.new(salt or bytes(32), ikm, hashlib.sha256).digest()
    out, block, i = b"", b"", 1
    while len(out) < n:
        block = hmac.new(prk, block + info + u8(i), hashlib.sha256).digest()
        out, i = out + block, i + 1
    return out[:n]


def aead(key, nonce, text, associated=b""):
    return ChaCha20Poly1305(key).encrypt(nonce, text, associated or None)


ONCE = bytes(12)


class Key:
    """An Ed25519 key of a seed."""

    def __init__(self, seed):
        self.seed = seed
        self.private = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = self.private.public_key().public_bytes_raw()

    def sign(self, purpose, *parts):
        return self.private.sign(b"zajil/1 " + purpose.encode() + b"\0" + b"".join(parts))


def seed(n): return bytes([n]) * 32


# --- P2 and P3: names, headers, marks --------------------------------------------------------------------------------

def read_tag(read): return H(read.public)[:16]
def mailbox_id(write, tag): return H(b"zajil mailbox", write.public, tag)[:16]
def slot_id(write, tag): return H(b"zajil slot", write.public, tag)[:16]
def parcel_id(key): return H(key.public)[:16]
def homes(entries): return listed([key + text8(address) for key, address in entries])


WRITE, READ, PARCEL = Key(seed(0x11)), Key(seed(0x12)), Key(seed(0x13))
TAG = read_tag(READ)
MAILBOX = mailbox_id(WRITE, TAG)
CONTROL, TEXT, VOICE = 1, 2, 3


def header(klass, write, tag, parcel, hours, length):
    signed = u8(1) + u8(klass) + write.public + tag + parcel.public + u16(hours) + u32(length)
    return signed + write.sign("header", signed)


def marks(head, parcel, body):
    h, out = H(b"zajil parcel", head[:88]), []
    for start in range(0, len(body), 8192):
        piece = body[start:start + 8192]
        end, last = start + len(piece), start + len(piece) == len(body)
        h = H(h, piece)
        out.append(u32(end) + u8(last) + parcel.sign("mark", parcel_id(parcel), u32(end), u8(last), h))
    return out


def closed(klass, write, tag, parcel, hours, body):
    head = header(klass, write, tag, parcel, hours, len(body))
    return [("header", head), ("body", body)] + [("mark", mark) for mark in marks(head, parcel, body)]


# --- P4: notes -------------------------------------------------------------------------------------------------------

def wire(n): return 152 + n + 69 * -(-n // 8192)
def body_length(content): return 40 + content + 16 * -(-content // 1008)


def padme(length):
    e = length.bit_length() - 1
    s = (e.bit_length() - 1) + 1
    step = 1 << (e - s)
    return -(-length // step) * step


def padded(content):
    goal, length = padme(wire(body_length(len(content)))), len(content)
    while wire(body_length(length)) < goal:
        length += 1
    return content + bytes(length - len(content))


def pairs(session_seed):
    out = [hkdf(b"zajil/1 session", session_seed, u8(i), 40) for i in range(32)]
    return [(pair[:8], pair[8:]) for pair in out]


def sealed(tag, note_key, identity, content):
    okm = hkdf(identity, note_key, b"zajil/1 note", 64)
    key, commitment = okm[:32], okm[32:]
    pieces = [content[i:i + 1008] for i in range(0, len(content), 1008)]
    chunks = [aead(key, bytes(3) + u64(i) + u8(i == len(pieces) - 1), piece) for i, piece in enumerate(pieces)]
    return tag + commitment + b"".join(chunks)


def head(session, identity, mailbox, kind, flags, note, minute, number, codec, toc, keep, roster):
    fields = u8(kind) + u8(flags) + note + u32(minute) + u8(number) + u8(codec) + u8(toc) + u8(keep) + roster
    return fields + session.sign("head", identity, mailbox, fields)


def framed(packet):
    n = len(packet) - 1
    length = u8(n + 1) if n <= 250 else u8(252 + (n - 251) // 256) + u8((n - 251) % 256)
    return length + packet[1:]


SESSION_SEED, SESSION = seed(0x21), Key(seed(0x22))
NOTE, MINUTE, TOC, ROSTER = bytes(range(0x30, 0x38)), 29_900_000, 0x58, bytes(range(0x40, 0x48))
LENGTHS = [1, 2, 251, 252, 253, 507, 508, 763, 764, 1019, 1020, 1275] + [90] * 40
PACKETS = [bytes([TOC]) + bytes((i * 31 + j * 7) & 255 for j in range(n - 1)) for i, n in enumerate(LENGTHS)]
PEAKS = bytes(i % 16 for i in range(48))
TAIL = u32(3_120) + u8(19) + bytes(PEAKS[i] << 4 | PEAKS[i + 1] for i in range(0, 48, 2))


def write(name, intro, rows):
    lines = [f"# {line}" for line in intro.splitlines()]
    lines += [f"{key} = {value.hex()}" for key, value in rows]
    (OUT / f"sealing_{name}.txt").write_text("\n".join(lines) + "\n")


def note_files():
    identity, session_pairs = parcel_id(PARCEL), pairs(SESSION_SEED)
    common = [("write_seed", WRITE.seed), ("read_seed", READ.seed), ("parcel_seed", PARCEL.seed),
              ("session_seed", SESSION_SEED), ("signer_seed", SESSION.seed), ("note", NOTE), ("minute", u32(MINUTE))]
    write("names", "P2: names that certify themselves; P3.1: a header with and without a length.", common[:3] + [
        ("write_key", WRITE.public), ("read_tag", TAG), ("mailbox", MAILBOX), ("slot", slot_id(WRITE, TAG)),
        ("parcel_key", PARCEL.public), ("parcel_id", identity), ("relay_hash", H(Key(seed(0x71)).public)[:8]),
        ("header_text_720_hours_1234_bytes", header(TEXT, WRITE, TAG, PARCEL, 720, 1234)),
        ("header_voice_2160_hours_open", header(VOICE, WRITE, TAG, PARCEL, 2160, 0)),
    ])
    write("session", "P4.9: a session and its 32 pairs, each tag and note key.", [
        ("seed", SESSION_SEED), ("signer_seed", SESSION.seed), ("verify_key", SESSION.public),
    ] + [("pair", tag + key) for tag, key in session_pairs])
    chunk_content = bytes(i % 251 for i in range(2 * 1008 + 5))
    write("chunks", "P4.1 to P4.3: two full chunks and a short last one.", [
        ("note_key", seed(0x25)), ("parcel_id", identity), ("content", chunk_content),
        ("body_after_tag", sealed(b"", seed(0x25), identity, chunk_content)),
    ])

    def voice(flags, roster, packets):
        top = head(SESSION, identity, MAILBOX, 1, flags, NOTE, MINUTE, 0, 4, TOC, 7, roster)
        return top, top + b"".join(framed(packet) for packet in packets) + u8(0) + TAIL

    tag, key = session_pairs[0]
    # A whole note with a roster hash (flag 2), and the full part of two (flag 8); the live one has flag 1.
    for name, flags, roster, packets, length in (
            ("voice", 2, ROSTER, PACKETS, 1), ("voice_full", 8, b"", PACKETS[:3], 1), ("voice_live", 1, b"", PACKETS, 0)):
        top, content = voice(flags, roster, packets)
        body = sealed(tag, key, identity, padded(content))
        top_header = header(VOICE, WRITE, TAG, PARCEL, 720, len(body) if length else 0)
        write(name, "P4: a voice note with packets around every step of their length code, codec 4, keep 7 days, pair 0.",
              common + [("flags", u8(flags)), ("roster", roster), ("toc", u8(TOC)), ("tail", TAIL), ("peaks", PEAKS)]
              + [("packet", packet) for packet in packets]
              + [("head", top), ("content", padded(content)), ("header", top_header), ("body", body)]
              + [("mark", mark) for mark in marks(top_header, PARCEL, body)])
    text = "وصلنا بخير، سنتصل غدًا.".encode()
    top = head(SESSION, identity, MAILBOX, 2, 4, NOTE, MINUTE, 0, 0, 0, 0, b"")
    content = padded(top + u16(len(text)) + text)
    write("text", "P4.8: a text note, marked as a thumbnail (flag 4), keep 0 days, pair 0.",
          common + [("text", text), ("head", top), ("content", content)]
          + closed(TEXT, WRITE, TAG, PARCEL, 720, sealed(tag, key, identity, content)))
    lengths = [82, 83, 900, 1008, 1009, 8000, 15687, 16384, 100_000, 1_000_000]
    write("padding", "P4.4: content length u32, then the length it is padded to u32.",
          [("pad", u32(n) + u32(len(padded(bytes(n))))) for n in lengths])


# --- P4.10 and P4.11: control frames, outer keys ---------------------------------------------------------------------

def boxed(identity, secret, info, text, size):
    key = hkdf(identity, secret, info, 32)
    return aead(key, ONCE, text + bytes(size - 16 - len(text)))


class XWing:
    """The X-Wing key of a 32-byte secret."""

    def __init__(self, secret):
        self.secret = secret
        expanded = hashlib.shake_256(secret).digest(96)
        self.m = MLKEM768PrivateKey.from_seed_bytes(expanded[:64])
        self.x = X25519PrivateKey.from_private_bytes(expanded[64:])
        self.public_x = self.x.public_key().public_bytes_raw()
        self.public = self.m.public_key().public_bytes_raw() + self.public_x

    def decapsulate(self, encapsulation):
        inner, outer = encapsulation[:1088], encapsulation[1088:]
        shared_m = self.m.decapsulate(inner)
        shared_x = self.x.exchange(X25519PublicKey.from_public_bytes(outer))
        return hashlib.sha3_256(shared_m + shared_x + outer + self.public_x + rb"\.//^" + b"\\").digest()


class Hpke:
    """RFC 9180, mode PSK, KEM 0x647a, HKDF-SHA256, ChaCha20-Poly1305, after the KEM."""

    def __init__(self, shared, psk):
        self.suite = b"HPKE" + u16(0x647A) + u16(1) + u16(3)
        context = u8(1) + self.extract(b"", b"psk_id_hash", b"zajil/1 psk") + self.extract(b"", b"info_hash", b"zajil/1 pair")
        secret = self.extract(shared, b"secret", psk)
        self.key = self.expand(secret, b"key", context, 32)
        self.nonce = self.expand(secret, b"base_nonce", context, 12)
        self.exporter = self.expand(secret, b"exp", context, 32)

    def extract(self, salt, label, ikm):
        return hmac.new(salt or bytes(32), b"HPKE-v1" + self.suite + label + ikm, hashlib.sha256).digest()

    def expand(self, prk, label, info, n):
        info = u16(n) + b"HPKE-v1" + self.suite + label + info
        return hmac.new(prk, info + b"\x01", hashlib.sha256).digest()[:n]

    def outer_key(self): return self.expand(self.exporter, b"sec", b"zajil/1 outer", 32)
    def seal(self, text): return aead(self.key, self.nonce, text)


OUTER = seed(0x51)
X_WING = XWing(seed(0x52))
# Encapsulated by the Rust side to X_WING with the 64 bytes 0x53, because no Python library encapsulates from given bytes;
# here it is taken apart again, which fixes it just as well.
ENCAPSULATION = bytes.fromhex((HERE / "sealing_encapsulation.txt").read_text().split("=")[1].strip())


# draft-connolly-cfrg-xwing-kem-06, appendix C: secret, randomness of the encapsulation, shared secret, and the SHA-256 of public
# key and encapsulation, which are too long to stand here.
X_WING_DRAFT = [
    ("7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26",
     "3cb1eea988004b93103cfb0aeefd2a686e01fa4a58e8a3639ca8a1e3f9ae57e2"
     "35b8cc873c23dc62b8d260169afa2f75ab916a58d974918835d25e6a435085b2",
     "d2df0522128f09dd8e2c92b1e905c793d8f57a54c3da25861f10bf4ca613e384",
     "2e816deebcd76c5c80d0cd2d174478871658e8e2ff42bc9d4a6e486372e856bb",
     "17cd532d657e44c897ca6583e548a5424fc70bf54f99515a4d2bcf99e3469f33"),
    ("badfd6dfaac359a5efbb7bcc4b59d538df9a04302e10c8bc1cbf1a0b3a5120ea",
     "17cda7cfad765f5623474d368ccca8af0007cd9f5e4c849f167a580b14aabdef"
     "aee7eef47cb0fca9767be1fda69419dfb927e9df07348b196691abaeb580b32d",
     "f2e86241c64d60f6649fbc6c5b7d17180b780a3f34355e64a85749949c45f150",
     "c42ba5f8430d7d2c83739338203819f090e8303ce9c8b02107c272bfa5376916",
     "1661ea86d608a1924ba30840cb0a65f13ae051e3aec9cf0f064efc0bc92f2154"),
    ("ef58538b8d23f87732ea63b02b4fa0f4873360e2841928cd60dd4cee8cc0d4c9",
     "22a96188d032675c8ac850933c7aff1533b94c834adbb69c6115bad4692d8619"
     "f90b0cdf8a7b9c264029ac185b70b83f2801f2f4b3f70c593ea3aeeb613a7f1b",
     "953f7f4e8c5b5049bdc771d1dffada0dd961477d1a2ae0988baa7ea6898d893f",
     "6b080d6b84f095342092fa7a22423e58bd681397ad0ef00eac92bd254db4fa95",
     "d3ca5578500344b5896cffc4fd740c9311946b82951df155e6fd86a7966b43c6"),
]


def x_wing_draft_file():
    """What an outer key is when the KEM gives the draft's shared secrets: HPKE is ours here, X-Wing theirs."""
    rows = []
    for row in X_WING_DRAFT:
        secret, randomness, shared, public, encapsulation = map(bytes.fromhex, row)
        assert H(XWing(secret).public) == public
        hpke = Hpke(shared, seed(0x54))
        rows += [("secret", secret), ("randomness", randomness), ("public_hash", public), ("encapsulation_hash", encapsulation),
                 ("sealed", hpke.seal(b"first notes")), ("outer_key", hpke.outer_key())]
    write("x_wing_draft", "P4.11 over the vectors of draft-connolly-cfrg-xwing-kem-06, appendix C; psk 54*32, text \"first notes\".", rows)


def control_files():
    identity = parcel_id(PARCEL)
    rows = [("outer_key", OUTER), ("parcel_seed", PARCEL.seed), ("write_seed", WRITE.seed), ("read_seed", READ.seed)]
    for name, number, kind, message, size in (("small", 7, 1, bytes(range(200)), 512), ("large", 0xFFFFFFFF, 0, b"\x33" * 4073, 4096)):
        text = u32(number) + u8(kind) + u16(len(message)) + message
        body = boxed(identity, OUTER, b"zajil/1 control", text, size)
        rows += [(f"{name}_number", u32(number)), (f"{name}_kind", u8(kind)), (f"{name}_message", message)]
        rows += [(f"{name}_{key}", value) for key, value in closed(CONTROL, WRITE, TAG, PARCEL, 720, body)]
    write("control", "P4.10: control frames of both sizes, lifetime 720 hours.", rows)
    first = Hpke(X_WING.decapsulate(ENCAPSULATION), seed(0x54))
    renewed = Hpke(X_WING.decapsulate(ENCAPSULATION), OUTER)
    write("outer", "P4.11: an outer key from a pre-shared key, and one renewed from the outer key before it.", [
        ("x_wing_secret", X_WING.secret), ("x_wing_public", X_WING.public), ("randomness", b"\x53" * 64),
        ("encapsulation", ENCAPSULATION), ("psk", seed(0x54)), ("text", b"first notes"), ("sealed", first.seal(b"first notes")),
        ("outer_key", first.outer_key()), ("previous_outer_key", OUTER), ("renewed_outer_key", renewed.outer_key()),
    ])


# --- P5 and P6: contents, pairing ------------------------------------------------------------------------------------

RELAY = Key(seed(0x71)).public
HOMES = homes([(RELAY, "relay.example:443"), (Key(seed(0x72)).public, "[2001:db8::1]:8443")])
NONCE, REPLIER_NONCE = seed(0x61), seed(0x62)


def bundle(device, commit):
    signed = (u8(1) + device.public + seed(0x63) + seed(0x64) + X_WING.public + WRITE.seed + TAG + HOMES + commit)
    return signed + device.sign("bundle", signed)


COMMIT = H(b"zajil nonce", NONCE)
INVITER, REPLIER = bundle(Key(seed(0x65)), COMMIT), bundle(Key(seed(0x66)), bytes(32))


def roster(previous, sequence, signer, members):
    signed = previous + u32(sequence) + signer.public + listed([key + u8(role) for key, role in members])
    return signed + signer.sign("roster", signed)


def contents_files():
    founder, deputy, member = Key(seed(0x67)), Key(seed(0x68)), Key(seed(0x69))
    first = roster(bytes(32), 0, founder, [(founder.public, 1), (member.public, 3)])
    second = roster(H(b"zajil roster", first), 1, founder, [(founder.public, 1), (deputy.public, 2), (member.public, 3)])
    slot = slot_id(WRITE, TAG)
    values = [
        (1, "session", SESSION_SEED + SESSION.public + MAILBOX + u32(MINUTE) + u16(720) + u8(32)),
        (2, "acknowledgement", u32(41) + u32(0x8000_0005)),
        (3, "receipts", listed([NOTE + u8(1), NOTE[::-1] + u8(2)])),
        (4, "pairing_answer", NONCE),
        (5, "slot_grant", WRITE.public + READ.seed + seed(0x6A) + u8(6) + HOMES),
        (6, "slot_revoked", slot),
        (7, "session_wanted", pairs(SESSION_SEED)[5][0]),
        (8, "homes", MAILBOX + HOMES),
        (9, "renewal", u32(3) + ENCAPSULATION),
        (10, "renewal_prekey", u32(3) + X_WING.public),
        (11, "audience_grant", WRITE.seed + READ.seed + H(b"zajil roster", second)[:8] + HOMES),
        (12, "roster_link", second),
        (13, "further_device", INVITER),
        (14, "note_withdrawn", NOTE),
        (15, "digits_confirmed", b""),
        (16, "word_head", slot + u64(9) + bytes(range(8))),
        (17, "outer_key_in_use", u32(3)),
        (18, "renewal_wanted", u32(3)),
        (19, "out_of_hands", u16(20_778)),
    ]
    write("contents", "P5.1: one row of each kind, by name, then two kinds in one row around one that nobody knows.", [
        (name, varint(kind) + varint(len(value)) + value) for kind, name, value in values
    ] + [("with_unknown", b"\x0f\x00" + varint(1000) + varint(3) + b"abc" + b"\x11\x04" + u32(3))])
    write("rosters", "P5.2: two links of one roster, and their hashes.", [
        ("founder_seed", founder.seed), ("deputy_key", deputy.public), ("member_key", member.public), ("first", first),
        ("first_hash", H(b"zajil roster", first)), ("second", second), ("second_hash", H(b"zajil roster", second)),
    ])


def checked(scheme, label, data):
    data += H(label, data)[:4]
    return (scheme + base64.urlsafe_b64encode(data).rstrip(b"=").decode()).encode()


def pairing_files():
    secret, expiry = seed(0x6B), MINUTE + 7 * 24 * 60
    one = {info: hkdf(b"zajil/1 pairing", secret, info.encode(), 32) for info in (
        "invitation write", "invitation read", "reply write", "reply read", "invitation box", "reply box", "psk")}
    h_inviter, h_replier = H(b"zajil bundle", INVITER), H(b"zajil bundle", REPLIER)
    link = checked("zajil:", b"zajil link", u8(1) + u32(expiry) + RELAY + secret + h_inviter + text8("relay.example:443"))
    back = checked("zajil-back:", b"zajil back", u8(1) + h_inviter + h_replier)
    write_key, tag = Key(one["invitation write"]), read_tag(Key(one["invitation read"]))
    box = b"zajil/1 pairing box"
    body = boxed(parcel_id(PARCEL), one["invitation box"], box, u16(len(INVITER)) + INVITER, 4096)
    number = int.from_bytes(H(b"zajil digits", h_inviter, h_replier, NONCE, REPLIER_NONCE)[:8], "big") % 10 ** 12
    digits = f"{number:012}"
    # A reply whose Olm message is 100 bytes that no Olm would send: this fixes the way around it.
    message = bytes(range(100))
    inner = u16(len(REPLIER)) + REPLIER + REPLIER_NONCE + u8(0) + u16(len(message)) + message
    hpke = Hpke(X_WING.decapsulate(ENCAPSULATION), one["psk"])
    outer = ENCAPSULATION + hpke.seal(inner)
    reply = boxed(parcel_id(PARCEL), one["reply box"], box, u16(len(outer)) + outer, 4096)
    write("pairing_texts", "P6: link, bundles, return code, digits.", [
        ("secret", secret), ("minute_of_invitation", u32(MINUTE)), ("link", link), ("return_code", back),
        ("inviter_bundle", INVITER), ("replier_bundle", REPLIER), ("inviter_hash", h_inviter), ("replier_hash", h_replier),
        ("inviter_nonce", NONCE), ("commit", COMMIT), ("replier_nonce", REPLIER_NONCE),
        ("digits", " ".join((digits[:4], digits[4:8], digits[8:])).encode()),
    ])
    write("pairing_parcels", "P6: what the secret gives, an invitation, a reply. The reply's Olm message is none.", [
        ("link", link), ("write_seed", WRITE.seed), ("read_seed", READ.seed), ("x_wing_secret", X_WING.secret),
        ("inviter_nonce", NONCE), ("commit", COMMIT), ("randomness", b"\x53" * 64), ("encapsulation", ENCAPSULATION),
        ("reply_text", inner), ("reply_sealed", hpke.seal(inner)), ("reply_body", reply), ("reply_outer_key", hpke.outer_key()),
    ] + [(info.replace(" ", "_"), value) for info, value in one.items()]
        + [(f"invitation_{key}", value) for key, value in closed(CONTROL, write_key, tag, PARCEL, 168, body)])


# --- P7: last words --------------------------------------------------------------------------------------------------

def word(version, previous, salt, text):
    slot = slot_id(WRITE, TAG)
    plain = u8(1) + u32(MINUTE) + previous + u16(7) + text8(text)
    key = hkdf(salt, seed(0x6A), b"zajil/1 word", 32)
    body = salt + aead(key, ONCE, plain + bytes(168 - len(plain)), slot + u64(version))
    return WRITE.public + TAG + u64(version) + body + WRITE.sign("word", slot, u64(version), body)


def word_file():
    relay, slot = Key(seed(0x71)), slot_id(WRITE, TAG)
    first = word(8, bytes(16), bytes(range(16)), "نحن بخير")
    second = word(9, H(first[48:56], first[56:256])[:16], bytes(range(16, 32)), "a" * 144)
    hour = MINUTE // 60 // 6 * 6
    observation = u64(9) + u32(hour) + u8(6) + relay.sign("observation", slot, u64(9), u32(hour), u8(6))
    report = listed([u16(1) + u8(2) + u32(hour) + u32(MINUTE), u16(900) + u8(3) + u32(hour - 6) + u32(MINUTE - 5)])
    write("word", "P7: two words (state 1, place 7), an observation of six hours, a link report of a link that is down and one\n"
                  "that comes and goes.", [
        ("write_seed", WRITE.seed), ("read_seed", READ.seed), ("word_key", seed(0x6A)), ("minute", u32(MINUTE)),
        ("salt", bytes(range(32))), ("first_text", "نحن بخير".encode()), ("second_text", b"a" * 144), ("first", first),
        ("second", second), ("first_chain_hash", H(first[48:56], first[56:256])[:16]), ("relay_seed", relay.seed),
        ("observation", observation), ("link_report", report),
    ])


if __name__ == "__main__":
    note_files()
    control_files()
    x_wing_draft_file()
    contents_files()
    pairing_files()
    word_file()
