//! What is below our outer key, driven by what RFC 9180 itself publishes.

use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, PskBundle, Serializable, setup_receiver, setup_sender_with_rng};
use zajil_proto::random::Chance;

use crate::vectors::Dictated;

fn hex(text: &str) -> Vec<u8> {
    data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap()
}

/// RFC 9180, A.2.2: mode PSK with HKDF-SHA256 and ChaCha20-Poly1305, as ours, over X25519. The RFC has no vectors for X-Wing;
/// those of its draft are in `vectors.rs`, with this key schedule computed by the model.
#[test]
fn hpke_with_a_pre_shared_key_gives_what_rfc_9180_says() {
    let secret = "77d114e0212be51cb1d76fa99dd41cfd4d0166b08caa09074430a6c59ef17879";
    let secret = <X25519HkdfSha256 as Kem>::PrivateKey::from_bytes(&hex(secret)).unwrap();
    let public = X25519HkdfSha256::sk_to_pk(&secret);
    assert_eq!(public.to_bytes().to_vec(), hex("13640af826b722fc04feaa4de2f28fbd5ecc03623b317834e7ff4120dbe73062"));
    let psk = hex("0247fd33b913760fa1fa51e1892d9f307fbe65eb171e8132c2af18555a738b82");
    let (psk_id, info) = (b"Ennyn Durin aran Moria", b"Ode on a Grecian Urn");
    let mode = OpModeS::<X25519HkdfSha256>::Psk(PskBundle::new(&psk, psk_id).unwrap());
    let mut chance = Dictated(hex("35706a0b09fb26fb45c39c2f5079c709c7cf98e43afa973f14d88ece7e29c2e3"));
    let (encapsulation, mut sender) = setup_sender_with_rng::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
        &mode,
        &public,
        info,
        &mut Chance(&mut chance),
    )
    .unwrap();
    let expected = hex("2261299c3f40a9afc133b969a97f05e95be2c514e54f3de26cbe5644ac735b04");
    assert_eq!(encapsulation.to_bytes().to_vec(), expected);
    let mode = OpModeR::Psk(PskBundle::new(&psk, psk_id).unwrap());
    let mut receiver =
        setup_receiver::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(&mode, &secret, &encapsulation, info).unwrap();
    let text = b"Beauty is truth, truth beauty";
    for (associated, sealed) in [
        (b"Count-0", "4a177f9c0d6f15cfdf533fb65bf84aecdc6ab16b8b85b4cf65a370e07fc1d78d28fb073214525276f4a89608ff"),
        (b"Count-1", "5c3cabae2f0b3e124d8d864c116fd8f20f3f56fda988c3573b40b09997fd6c769e77c8eda6cda4f947f5b704a8"),
    ] {
        assert_eq!(sender.seal(text, associated).unwrap(), hex(sealed));
        assert_eq!(receiver.open(&hex(sealed), associated).unwrap(), text);
    }
    for (context, exported) in [
        (&b""[..], "813c1bfc516c99076ae0f466671f0ba5ff244a41699f7b2417e4c59d46d39f40"),
        (&[0], "2745cf3d5bb65c333658732954ee7af49eb895ce77f8022873a62a13c94cb4e1"),
        (b"TestContext", "ad40e3ae14f21c99bfdebc20ae14ab86f4ca2dc9a4799d200f43a25f99fa78ae"),
    ] {
        let (mut ours, mut theirs) = ([0; 32], [0; 32]);
        sender.export(context, &mut ours).unwrap();
        receiver.export(context, &mut theirs).unwrap();
        assert_eq!((ours.to_vec(), theirs), (hex(exported), ours));
    }
}
