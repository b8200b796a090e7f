//! Where an artifact came from, told so that anyone can check it.
//!
//! Takes finished files (bytes or paths) with a [`Lineage`], gives them back labelled as GB 45438-2025 asks and signed as C2PA
//! says ([`Signer`]); takes any file and gives a [`Report`] of who signed it, what it was made from and whether it was changed
//! since ([`Verifier`]). It does not know HTTP routes, tenants, databases, models or engines, and opens no connection but to
//! the time stamping authority that a setting names.

mod authority;
mod cbor;
mod container;
mod error;
mod jumbf;
mod label;
mod lineage;
mod media;
mod seal;
mod verify;

pub use authority::{
    Authority, AuthorityOptions, CertificateStatus, FileKeys, Revocation, RevocationReason, SignerSource,
};
#[cfg(feature = "pkcs11")]
pub use authority::{ModuleKeys, ModuleOptions};
pub use error::{Error, Result};
pub use label::{
    AigcLabel, AigcMark, Corner, ExplicitLabel, LabelPolicy, LabelText, audio_rhythm, draw_label,
    draw_video_label, read_label, text_document_property, text_header, text_label, write_label,
};
pub use lineage::{
    Act, DatasetUse, EngineUse, FileUse, LINEAGE_VERSION, LicenceUse, Lineage, ModelRole, ModelUse, Origin,
    ParentUse, Privacy, Relation, SourceType, TenantPrivacy, pseudonym,
};
pub use media::Media;
pub use seal::{Mining, MiningUse, Parent, SealRequest, Sealed, SealedFile, Signer, SignerOptions, Stamper};
pub use verify::{
    Change, ChangedPart, Edge, EdgeKind, Graph, Known, Limits, Node, NodeKind, Report, SignerInfo, Source,
    Trust, Verdict, Verifier,
};

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
