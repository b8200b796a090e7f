//! What verifying finds, for a person and for the API.

use rixin_base::Message;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{AigcLabel, LicenceUse, Lineage, Media, Origin, Revocation};

/// The outcome in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Signed by somebody who is trusted, and not changed since.
    Valid,
    /// Changed after it was signed.
    Changed,
    /// Not changed since it was signed, but nobody here vouches for the signer.
    UnknownSigner,
    /// The signing certificate was declared void.
    Revoked,
    /// The signing certificate had run out, and no time stamp says that the signature is older.
    Expired,
    /// It carries no credentials.
    NotSigned,
    /// It was signed, but its credentials were taken away.
    MetadataStripped,
}

/// What was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChangedPart {
    /// The content or its metadata: everything in the file but the credentials.
    Content,
    /// What the credentials say: the lineage, the actions, another assertion.
    Statement,
    /// The claim or its signature.
    Signature,
    /// Bytes around them: padding, box headers, checksums, the time stamp.
    Envelope,
    /// The credentials of something that it was made from.
    Input,
    /// The file's structure: it can no longer be read as what it was.
    Structure,
}

/// One thing that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Change {
    /// What.
    pub part: ChangedPart,
    /// C2PA's status code, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// For a person.
    #[schema(value_type = MessageSchema)]
    pub text: Message,
}

/// Who signed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SignerInfo {
    /// The certificate's common name.
    pub name: String,
    /// Its organisation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organisation: Option<String>,
    /// Its serial, hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// The signature's algorithm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<String>,
    /// Whether this instance signed it.
    pub own: bool,
    /// Whether its chain ends in a trusted root.
    pub trusted: bool,
    /// Declared void.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Revocation>,
}

/// What a node of the graph is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NodeKind {
    /// The file that was asked about.
    File,
    /// A model.
    Model,
    /// An adapter of a model.
    Adapter,
    /// Training data.
    Dataset,
    /// A file of training data.
    DatasetFile,
    /// Something that it was made from.
    Input,
}

/// A node of the graph.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Node {
    /// Distinct in the graph.
    pub id: String,
    /// What it is.
    pub kind: NodeKind,
    /// Its name, for a person.
    pub name: String,
    /// Its SHA-256.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Where a model came to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// Where it was brought from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Its licence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence: Option<LicenceUse>,
    /// For an input with credentials: whether they hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_hold: Option<bool>,
}

/// What an edge says of where it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EdgeKind {
    /// It was made with the model.
    MadeWith,
    /// It was trained on top of the model.
    BasedOn,
    /// It was trained on the data.
    TrainedOn,
    /// The file belongs to it.
    Contains,
    /// It is an edited form of the input.
    EditedFrom,
    /// The input is a part of it.
    ComposedOf,
    /// It was computed from the input.
    DerivedFrom,
}

/// An edge of the graph.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Edge {
    /// Id of the node that was made.
    pub from: String,
    /// Id of the node that it was made from.
    pub to: String,
    /// How.
    pub kind: EdgeKind,
}

/// Where a file came from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Graph {
    /// The file first.
    pub nodes: Vec<Node>,
    /// From what was made to what it was made from.
    pub edges: Vec<Edge>,
}

/// What verifying found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Report {
    /// In one word.
    pub verdict: Verdict,
    /// The kind of the file.
    pub media: Media,
    /// Its length in bytes.
    pub size: u64,
    /// Its SHA-256.
    pub sha256: String,
    /// SHA-256 of its content without metadata, where it can be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_sha256: Option<String>,
    /// The artifact's id, where the store knows the hash of a file without credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known_as: Option<String>,
    /// Whether the credentials came from beside the file.
    pub beside: bool,
    /// What does not hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
    /// Who signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer: Option<SignerInfo>,
    /// When, by a trusted time stamp, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stamped_at: Option<String>,
    /// The program that made the claim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generator: Option<String>,
    /// What the claim says was done: `c2pa.created` and so on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<String>,
    /// IPTC's address of how it came to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digital_source_type: Option<String>,
    /// What is signed about how it came to be; from this suite's files alone. Nothing of it holds when the verdict is `changed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lineage: Option<Lineage>,
    /// The implicit label of GB 45438-2025, as it stands in the file (or beside it).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<AigcLabel>,
    /// Where it came from.
    pub graph: Graph,
    /// For a person.
    #[schema(value_type = MessageSchema)]
    pub explanation: Message,
}

/// A text in both languages.
#[derive(ToSchema)]
#[schema(as = Message)]
#[allow(dead_code, reason = "only names the shape of rixin_base::Message for the OpenAPI document")]
pub(crate) struct MessageSchema {
    /// English.
    en: String,
    /// Chinese.
    zh: String,
}
