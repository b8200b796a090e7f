//! What narrows a key beyond its role: scopes, models, networks, a date.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Error, Right, Rights, now_ms};

/// Entries of a list at most.
const MOST: usize = 200;

/// What narrows a key beyond its role. What is absent narrows nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = KeyLimits)]
pub struct Limits {
    /// The rights that it has at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<Right>>,
    /// The models that it may ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<String>>,
    /// The networks that it works from, such as `10.0.0.0/8`, `2001:db8::/32` or a single address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>)]
    pub networks: Option<Vec<Network>>,
    /// Milliseconds since 1970 at which it stops working.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
}

/// A network, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Network(IpNet);

impl std::str::FromStr for Network {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let whole = text.parse::<IpNet>().map(|net| net.trunc());
        whole.or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).map(Self).map_err(|_| {
            format!("{text:?} is neither a network such as 10.0.0.0/8 or 2001:db8::/32 nor an address")
        })
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Network {
    /// Whether an address is in it. An IPv4 address that came through an IPv6 socket is what it is.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

impl Limits {
    /// Whether it may ask a model.
    pub fn allow_model(&self, model: &str) -> bool {
        self.models.as_ref().is_none_or(|models| models.iter().any(|one| one == model))
    }

    /// Whether it works from an address.
    pub fn allow_address(&self, address: IpAddr) -> bool {
        self.networks.as_ref().is_none_or(|nets| nets.iter().any(|net| net.contains(address)))
    }

    /// Whether its time is over.
    pub fn are_over(&self) -> bool {
        self.expires_at.is_some_and(|at| at <= now_ms())
    }

    /// What is left of rights.
    pub(crate) fn narrow(&self, rights: Rights) -> Rights {
        match &self.scopes {
            Some(scopes) => rights.and(scopes.iter().copied().collect()),
            None => rights,
        }
    }

    /// Refuses lists that are empty or too long, and a date that is over.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let bad = |param, en, zh| Err(Error::Invalid { param, en, zh });
        let wrong = |length: Option<usize>| length.is_some_and(|length| length == 0 || length > MOST);
        if wrong(self.scopes.as_ref().map(Vec::len)) {
            return bad(
                "scopes",
                "name at least one right, or leave it out",
                "请至少列出一项权限，或省略此项",
            );
        }
        if wrong(self.models.as_ref().map(Vec::len)) {
            return bad(
                "models",
                "name 1 to 200 models, or leave it out",
                "请列出 1 到 200 个模型，或省略此项",
            );
        }
        let long = |name: &String| name.is_empty() || name.len() > 200;
        if self.models.as_ref().is_some_and(|models| models.iter().any(long)) {
            return bad("models", "a model's name has 1 to 200 bytes", "模型名称为 1 到 200 字节");
        }
        if wrong(self.networks.as_ref().map(Vec::len)) {
            return bad(
                "networks",
                "name 1 to 200 networks, or leave it out",
                "请列出 1 到 200 个网段，或省略此项",
            );
        }
        if self.are_over() {
            return bad("expires_at", "that time is over already", "该时间已过");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_of_both_kinds() {
        let limits = |nets: &[&str]| Limits {
            networks: Some(nets.iter().map(|net| net.parse().expect("a network")).collect()),
            ..Limits::default()
        };
        let both = limits(&["10.1.2.3/8", "2001:db8::/32", "192.0.2.7"]);
        for inside in ["10.200.0.1", "::ffff:10.0.0.1", "2001:db8:1::1", "192.0.2.7"] {
            assert!(both.allow_address(inside.parse().expect("an address")), "{inside}");
        }
        for outside in ["11.0.0.1", "2001:db9::1", "192.0.2.8", "::1"] {
            assert!(!both.allow_address(outside.parse().expect("an address")), "{outside}");
        }
        assert!(Limits::default().allow_address("11.0.0.1".parse().expect("an address")));
        for wrong in ["", "10.0.0.0/33", "example.org", "10.0.0"] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }
}
