//! From passphrase to key, by vectors that are not ours.

use argon2::{Algorithm, Argon2, Version};

use super::{Argon2Cost, Header, Method, Passphrase, stretch, top_key};

fn hex(text: &str) -> Vec<u8> {
    data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap()
}

/// RFC 9106 §5.3. We give Argon2 neither a secret nor associated data, so this drives the crate and not [`stretch`].
#[test]
fn the_crate_computes_the_argon2id_vector_of_rfc_9106() {
    let mut params = argon2::ParamsBuilder::new();
    params.m_cost(32).t_cost(3).p_cost(4).output_len(32).data(argon2::AssociatedData::new(&[4; 12]).unwrap());
    let params = params.build().unwrap();
    let argon2 = Argon2::new_with_secret(&[3; 8], Algorithm::Argon2id, Version::V0x13, params).unwrap();
    let mut out = [0; 32];
    argon2.hash_password_into(&[1; 32], &[2; 16], &mut out).unwrap();
    assert_eq!(out.to_vec(), hex("0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659"));
}

/// What a passphrase becomes, and the key above all others that is made of it: computed with the Argon2id of OpenSSL 3 (by
/// Python's `cryptography` 48, which computes the RFC's vector too) and Python's own HMAC.
#[test]
fn a_passphrase_becomes_the_keys_that_another_program_makes_of_it() {
    for (passphrase, cost, stretched, top) in [
        (
            "correct horse",
            (64, 1, 1),
            "25ce5233cc1e4d37e9bca31bfef41710e40446cd1cb575932791c5fd3780bd3c",
            "752522a99e43a84cb6bf1f3d497815d3af7e93f65efdea744bf1012cf66f7190",
        ),
        (
            "مرحبا يا دار",
            (256, 2, 4),
            "4049197d15325ad62ed9acb8b25b981d12b4883fa9f4af16c6c2880f9063f177",
            "2b49b10b4752cf3763b83dbeb5b0682492069ecc199c8e2d8fa0e361e6205ad4",
        ),
    ] {
        let (memory_kib, passes, lanes) = cost;
        let cost = Argon2Cost::new(memory_kib, passes, lanes).unwrap();
        let salt = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
        let header = Header { method: Method::Passphrase, store: [9; 16], salt, cost };
        let secret = stretch(&Passphrase::new(passphrase).unwrap(), &header).unwrap();
        assert_eq!(secret.0.to_vec(), hex(stretched));
        assert_eq!(top_key(&secret, &header).unwrap().0.to_vec(), hex(top));
    }
}
