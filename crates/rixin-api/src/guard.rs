//! Against pages of other sites that reach for a gateway on this machine through the user's browser: by a name that
//! resolves to it (DNS rebinding), or by sending requests across sites.

use axum::extract::Request;
use http::{Uri, header, uri::Authority};
use rixin_base::{Code, Fault};

use crate::AppState;

/// Checks `Host` and `Origin`.
///
/// # Errors
/// [`Code::Forbidden`] with what is wrong.
pub(crate) fn check(state: &AppState, request: &Request) -> Result<(), Fault> {
    let host = request.headers().get(header::HOST).map(|value| value.to_str().unwrap_or_default());
    let host = host.or_else(|| request.uri().authority().map(Authority::as_str));
    if state.local_only {
        // HTTP/1.0 has no Host, and no browser speaks it.
        if let Some(host) = host
            && !is_local_name(host)
        {
            return Err(Fault::new(
                Code::Forbidden,
                format!(
                    "the gateway listens on this machine only and is not called {host:?}: use 127.0.0.1 or localhost, or set RIXIN_LISTEN to an address that others may reach"
                ),
                format!(
                    "网关只监听本机，不接受主机名 {host:?}：请使用 127.0.0.1 或 localhost，或将 RIXIN_LISTEN 设为可供外部访问的地址"
                ),
            ));
        }
    }
    let Some(origin) = request.headers().get(header::ORIGIN) else { return Ok(()) };
    let origin = origin.to_str().unwrap_or_default();
    let same = origin.parse::<Uri>().ok().and_then(|uri| uri.authority().map(ToString::to_string));
    let same = same.is_some_and(|authority| host.is_some_and(|host| host.eq_ignore_ascii_case(&authority)));
    if same || !state.local_only {
        return Ok(());
    }
    Err(Fault::new(
        Code::Forbidden,
        format!(
            "a page of {origin:?} may not use the gateway on this machine: call it from a program, or put it behind your own site"
        ),
        format!("{origin:?} 的网页不得使用本机的网关：请从程序中调用，或将其置于您自己的站点之后"),
    ))
}

fn is_local_name(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host().trim_start_matches('[').trim_end_matches(']');
    let name = name.trim_end_matches('.');
    name.eq_ignore_ascii_case("localhost")
        || name.to_ascii_lowercase().ends_with(".localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(crate::state::is_loopback)
}

#[cfg(test)]
mod tests {
    use super::is_local_name;

    #[test]
    fn local_names() {
        for good in [
            "localhost",
            "localhost:8460",
            "127.0.0.1:1",
            "[::1]:8460",
            "LOCALHOST",
            "127.8.9.1",
            "a.localhost:1",
        ] {
            assert!(is_local_name(good), "{good}");
        }
        for bad in [
            "",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.nip.io",
            "10.0.0.1",
            "[::2]:1",
            "evil@localhost.x",
        ] {
            assert!(!is_local_name(bad), "{bad}");
        }
    }
}
