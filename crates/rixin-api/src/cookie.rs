//! The cookie of a session, and the defence against other sites that would use it.

use http::{HeaderMap, HeaderValue, Method, Uri, header};
use rixin_base::{Code, Fault};

use crate::AppState;

/// The cookie over plain HTTP, which browsers keep for a local address.
const PLAIN: &str = "rixin_session";
/// The cookie over TLS: the browser takes it from this host alone.
const SECURE: &str = "__Host-rixin_session";

/// Whether the console is opened over TLS, as `public_url` says.
pub(crate) fn is_secure(state: &AppState) -> bool {
    state.settings.public_url.starts_with("https://")
}

fn name(state: &AppState) -> &'static str {
    if is_secure(state) { SECURE } else { PLAIN }
}

/// The secret of a request's session.
pub(crate) fn secret<'a>(state: &AppState, headers: &'a HeaderMap) -> Option<&'a str> {
    value(headers, name(state))
}

/// The value of a cookie.
pub(crate) fn value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|value| value.split(';')).find_map(|pair| {
        let (key, value) = pair.trim().split_once('=')?;
        (key == name).then_some(value)
    })
}

/// Sets the cookie; an empty secret removes it.
pub(crate) fn set(state: &AppState, secret: &str) -> Option<HeaderValue> {
    let age = if secret.is_empty() { 0 } else { state.settings.session_lifetime.as_secs() };
    let secure = if is_secure(state) { "; Secure" } else { "" };
    let text = format!("{}={secret}; Path=/; HttpOnly; SameSite=Strict; Max-Age={age}{secure}", name(state));
    HeaderValue::try_from(text).ok()
}

/// Refuses a write that a cookie vouches for unless the browser says that a page of this site sends it. SameSite=Strict keeps the cookie
/// from other sites already; this holds where a browser is old, or another port of this host is somebody else's.
pub(crate) fn check_origin(method: &Method, headers: &HeaderMap) -> Result<(), Fault> {
    if method.is_safe() {
        return Ok(());
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let same = match (text("origin"), text("sec-fetch-site")) {
        (Some(origin), _) => {
            let origin = origin.parse::<Uri>().ok().and_then(|uri| uri.authority().map(ToString::to_string));
            origin.is_some_and(|origin| text("host").is_some_and(|host| host.eq_ignore_ascii_case(&origin)))
        }
        (None, site) => site == Some("same-origin"),
    };
    if same {
        return Ok(());
    }
    Err(Fault::new(
        Code::CrossSite,
        "a change that a session's cookie vouches for must come from a page of this site, and its Origin says otherwise: use the console, or send an API key",
        "凭会话 Cookie 进行的更改必须来自本站页面，而该请求的 Origin 并非本站：请使用控制台，或改用 API 密钥",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_this_site_may_write() {
        let check = |method: Method, pairs: &[(&'static str, &'static str)]| {
            let mut map = HeaderMap::new();
            for (name, value) in pairs {
                map.insert(*name, HeaderValue::from_static(value));
            }
            check_origin(&method, &map).is_ok()
        };
        let host = ("host", "ai.example:8460");
        assert!(check(Method::GET, &[host, ("origin", "https://evil.example")]), "reading changes nothing");
        assert!(check(Method::POST, &[host, ("origin", "https://ai.example:8460")]));
        assert!(check(Method::POST, &[host, ("sec-fetch-site", "same-origin")]));
        for bad in [
            vec![host],
            vec![host, ("origin", "https://evil.example"), ("sec-fetch-site", "same-origin")],
            vec![host, ("origin", "https://ai.example:9999")],
            vec![host, ("origin", "null")],
            vec![host, ("sec-fetch-site", "same-site")],
            vec![("origin", "https://ai.example:8460")],
        ] {
            assert!(!check(Method::DELETE, &bad), "{bad:?}");
        }
    }
}
