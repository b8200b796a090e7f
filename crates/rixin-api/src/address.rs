//! The address that a request comes from: the connection's, or what a trusted proxy says.

use std::net::IpAddr;

use http::{Extensions, HeaderMap};
use rixin_base::{Code, Fault};
use rixin_store::Network;

use crate::{AppState, request::Peer};

/// Reads the setting `trusted_proxies`.
///
/// # Errors
/// [`Code::BadSetting`] with the part that is no network.
pub(crate) fn networks(text: &str) -> Result<Vec<Network>, Fault> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts.map(str::parse).collect::<Result<_, String>>().map_err(|why| {
        let zh = format!("trusted_proxies 有误：{why}");
        Fault::new(Code::BadSetting, format!("trusted_proxies is wrong: {why}"), zh)
    })
}

/// Where a request comes from. Of `X-Forwarded-For` the last entry counts that is no trusted proxy: what stands before it anybody may
/// have written.
pub(crate) fn of(state: &AppState, extensions: &Extensions, headers: &HeaderMap) -> Option<IpAddr> {
    let peer = extensions.get::<Peer>()?.0.ip().to_canonical();
    Some(forwarded(peer, headers, |address| state.proxies.iter().any(|net| net.contains(address))))
}

fn forwarded(peer: IpAddr, headers: &HeaderMap, trusted: impl Fn(IpAddr) -> bool) -> IpAddr {
    let mut address = peer;
    let lines: Vec<&str> =
        headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok()).collect();
    for part in lines.iter().flat_map(|line| line.split(',')).rev() {
        if !trusted(address) {
            break;
        }
        let Ok(next) = part.trim().parse::<IpAddr>() else { break };
        address = next.to_canonical();
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        let nets = networks("127.0.0.1, 10.0.0.0/8").expect("networks");
        let of = |peer: &str, line: &'static str| {
            let mut map = HeaderMap::new();
            map.insert("x-forwarded-for", http::HeaderValue::from_static(line));
            let peer = peer.parse().expect("an address");
            forwarded(peer, &map, |address| nets.iter().any(|net| net.contains(address))).to_string()
        };
        assert_eq!(of("203.0.113.9", "192.0.2.1"), "203.0.113.9", "a stranger says what it likes");
        assert_eq!(of("127.0.0.1", "192.0.2.1"), "192.0.2.1");
        assert_eq!(of("127.0.0.1", "6.6.6.6, 192.0.2.1, 10.1.1.1"), "192.0.2.1");
        assert_eq!(of("127.0.0.1", "rubbish"), "127.0.0.1");
        assert!(networks("10.0.0.0/40").is_err());
    }
}
