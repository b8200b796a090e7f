//! The console's files and the documents.

use reqwest::Method;

use crate::suite::{Suite, json_of};

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_served_with_a_policy_and_without_a_key() {
    let suite = Suite::start(&[]).await;
    // An address that leads nowhere is answered with the console's own page, which says so.
    let pages = [
        ("/", 200),
        ("/docs", 200),
        ("/docs/docs.js", 200),
        ("/docs/docs.css", 200),
        ("/models/some-page", 404),
    ];
    for (path, status) in pages {
        let reply =
            suite.bare(Method::GET, path).header("accept", "text/html").send().await.expect("an answer");
        assert_eq!(reply.status(), status, "{path}");
        let policy = reply.headers()["content-security-policy"].to_str().expect("text").to_owned();
        assert!(
            policy.contains("default-src 'none'")
                && policy.contains("frame-ancestors 'none'")
                && !policy.contains("unsafe"),
            "{policy}"
        );
        assert_eq!(reply.headers()["x-content-type-options"], "nosniff");
        let text = reply.text().await.expect("text");
        for elsewhere in ["src=\"http", "href=\"http", "url(http", "//cdn"] {
            assert!(!text.contains(elsewhere), "{path} loads something from elsewhere");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_page_is_an_error_in_shape() {
    let suite = Suite::start(&[]).await;
    for (method, path, status, code) in [
        (Method::GET, "/v1/nothing", 404, "route_not_found"),
        (Method::GET, "/api/nothing", 404, "route_not_found"),
        (Method::POST, "/nothing", 404, "route_not_found"),
        (Method::GET, "/assets/nothing.js", 404, "route_not_found"),
        (Method::PUT, "/v1/models", 405, "method_not_allowed"),
        (Method::GET, "/v1/chat/completions", 405, "method_not_allowed"),
    ] {
        let (got, error) = json_of(suite.bare(method, path).header("accept", "text/html")).await;
        assert_eq!((got, error["error"]["code"].as_str()), (status, Some(code)), "{path}");
    }
}
