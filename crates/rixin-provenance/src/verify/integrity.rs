//! Checks the seal over the whole file, by the certificate of the claim's own signature.

use c2pa::SigningAlg;

use crate::{
    authority::signature_holds,
    cbor,
    container::{Bytes, Place},
    jumbf,
    seal::whole,
};

/// What the seal says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seal {
    Holds,
    Broken,
    Absent,
}

/// What stands in the COSE signature of the active manifest.
pub(super) struct Cose {
    /// The signing certificate, DER.
    pub leaf: Option<Vec<u8>>,
    pub algorithm: Option<SigningAlg>,
    /// The seal's range in the store.
    seal: Option<std::ops::Range<u64>>,
}

pub(super) fn cose(store: &[u8]) -> Option<Cose> {
    let range = jumbf::active_signature(store)?;
    let cose = &store[range.clone()];
    let parts = cbor::sign1(cose)?;
    let protected = &cose[parts.protected];
    let seal = whole::find(cose).map(|s| (range.start + s.start) as u64..(range.start + s.end) as u64);
    // IANA's numbers of COSE algorithms.
    let algorithm = match cbor::integer(protected, 1) {
        Some(-7) => Some(SigningAlg::Es256),
        Some(-35) => Some(SigningAlg::Es384),
        Some(-36) => Some(SigningAlg::Es512),
        Some(-37) => Some(SigningAlg::Ps256),
        Some(-38) => Some(SigningAlg::Ps384),
        Some(-39) => Some(SigningAlg::Ps512),
        Some(-8) => Some(SigningAlg::Ed25519),
        _ => None,
    };
    Some(Cose { leaf: cbor::first_bytes(protected, 33).map(<[u8]>::to_vec), algorithm, seal })
}

/// `carrier` is the file that holds the credentials: the picture itself, or the `.c2pa` file.
pub(super) fn check(carrier: &mut dyn Bytes, place: &Place, cose: &Cose) -> Seal {
    let (Some(seal), Some(leaf), Some(algorithm)) = (&cose.seal, &cose.leaf, cose.algorithm) else {
        return Seal::Absent;
    };
    match holds(carrier, place, seal.clone(), leaf, algorithm) {
        Ok(true) => Seal::Holds,
        _ => Seal::Broken,
    }
}

fn holds(
    carrier: &mut dyn Bytes,
    place: &Place,
    seal: std::ops::Range<u64>,
    leaf: &[u8],
    algorithm: SigningAlg,
) -> std::io::Result<bool> {
    for (at, sum) in whole::checksums(carrier, place)? {
        if crate::container::read_range(carrier, &at)? != sum {
            return Ok(false);
        }
    }
    let mut signature = Vec::new();
    for part in place.in_file(seal.clone()) {
        signature.append(&mut crate::container::read_range(carrier, &part)?);
    }
    let message = whole::message(carrier, &whole::zeroed(place, seal))?;
    Ok(signature_holds(leaf, algorithm, &signature, &message))
}
