//! One provider: where to send a browser, and who it was that came back.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use openidconnect::{
    AuthorizationCode, ClaimsVerificationError, ClientId, ClientSecret, CsrfToken, EndpointMaybeSet,
    EndpointNotSet, EndpointSet, IssuerUrl, Nonce, OAuth2TokenResponse as _, PkceCodeChallenge,
    PkceCodeVerifier, RedirectUrl, Scope, SignatureVerificationError, TokenResponse as _,
    core::{CoreAuthenticationFlow, CoreClient, CoreIdToken, CoreProviderMetadata},
};
use serde_json::{Map, Value};
use tokio::sync::Mutex;
use url::Url;

use crate::{
    Error,
    net::{self, Failed},
};

/// What the provider said of itself is believed for this long.
const FRESH: Duration = Duration::from_secs(3600);

type Client = CoreClient<
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// How to reach a provider, and what it knows this suite by.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its issuer, as its discovery document names it.
    pub issuer: String,
    /// The name that it knows this suite by.
    pub client_id: String,
    /// The secret that goes with it; a public client has none.
    pub client_secret: Option<String>,
    /// The address that browsers come back to.
    pub redirect: String,
    /// What is asked for beside `openid`.
    pub scopes: Vec<String>,
}

/// A sign-in that has begun: to be remembered until the browser comes back.
#[derive(Clone, Debug)]
pub struct Begun {
    /// Where to send the browser.
    pub url: Url,
    /// What the ID token has to repeat.
    pub nonce: String,
    /// What proves at the end that it was the same client that began (RFC 7636).
    pub verifier: String,
}

/// What the provider says of who signed in; it was verified.
#[derive(Clone, Debug)]
pub struct Claims {
    /// The provider.
    pub issuer: String,
    /// Whom it means, for good.
    pub subject: String,
    /// Everything, of the ID token and of the user's information.
    pub all: Map<String, Value>,
}

impl Claims {
    /// A text among the claims.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.all.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    /// The e-mail address, if the provider has made sure that it is theirs.
    pub fn email(&self) -> Option<&str> {
        let sure = matches!(self.all.get("email_verified"), Some(Value::Bool(true)))
            || self.text("email_verified") == Some("true");
        self.text("email").filter(|_| sure)
    }
}

struct Known {
    client: Client,
    userinfo: Option<Url>,
    at: Instant,
}

/// One provider. Cheap to share.
pub struct Provider {
    options: Options,
    issuer: IssuerUrl,
    redirect: RedirectUrl,
    http: net::Client,
    known: Mutex<Option<Arc<Known>>>,
}

fn setting(setting: &'static str, en: impl Into<String>, zh: impl Into<String>) -> Error {
    Error::Setting { setting, en: en.into(), zh: zh.into() }
}

/// Whether an issuer's address is a loopback one.
pub fn is_on_this_machine(issuer: &str) -> bool {
    Url::parse(issuer).is_ok_and(|url| is_here(&url))
}

fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

impl Provider {
    /// Makes no connection yet.
    ///
    /// # Errors
    /// [`Error::Setting`]: an address that is none, or not HTTPS on another machine; no client id.
    pub fn new(options: Options) -> Result<Self, Error> {
        let wrong = |error: url::ParseError| {
            setting("oidc_issuer", format!("it is no address: {error}"), format!("不是有效地址：{error}"))
        };
        let issuer = IssuerUrl::new(options.issuer.clone()).map_err(wrong)?;
        let secure =
            issuer.url().scheme() == "https" || (issuer.url().scheme() == "http" && is_here(issuer.url()));
        if !secure {
            return Err(setting(
                "oidc_issuer",
                "a provider on another machine is asked over https alone",
                "其他机器上的身份提供方必须使用 https",
            ));
        }
        if options.client_id.trim().is_empty() {
            return Err(setting("oidc_client_id", "it is empty", "不能为空"));
        }
        let redirect = RedirectUrl::new(options.redirect.clone()).map_err(|error| {
            setting("public_url", format!("it is no address: {error}"), format!("不是有效地址：{error}"))
        })?;
        let http = net::Client::new()
            .map_err(|error| Error::Provider { issuer: options.issuer.clone(), why: error.to_string() })?;
        Ok(Self { options, issuer, redirect, http, known: Mutex::default() })
    }

    fn failed(&self, why: impl ToString) -> Error {
        Error::Provider { issuer: self.options.issuer.clone(), why: why.to_string() }
    }

    fn untrusted(&self, why: impl ToString) -> Error {
        Error::Token { issuer: self.options.issuer.clone(), why: why.to_string() }
    }

    /// What the provider says of itself: its endpoints and keys.
    async fn known(&self, at_most: Duration) -> Result<Arc<Known>, Error> {
        let mut known = self.known.lock().await;
        if let Some(known) = known.as_ref().filter(|known| known.at.elapsed() < at_most) {
            return Ok(Arc::clone(known));
        }
        let found = CoreProviderMetadata::discover_async(self.issuer.clone(), &self.http).await;
        let metadata = found.map_err(|error| self.failed(chain(&error)))?;
        let userinfo = metadata.userinfo_endpoint().map(|endpoint| endpoint.url().clone());
        let secret = self.options.client_secret.clone().map(ClientSecret::new);
        let id = ClientId::new(self.options.client_id.clone());
        let client =
            CoreClient::from_provider_metadata(metadata, id, secret).set_redirect_uri(self.redirect.clone());
        let new = Arc::new(Known { client, userinfo, at: Instant::now() });
        *known = Some(Arc::clone(&new));
        Ok(new)
    }

    /// Begins a sign-in. `state` comes back with the browser.
    ///
    /// # Errors
    /// [`Error::Provider`]: it could not be asked where its pages are.
    pub async fn begin(&self, state: &str) -> Result<Begun, Error> {
        let known = self.known(FRESH).await?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let state = state.to_owned();
        let mut request = known
            .client
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                move || CsrfToken::new(state),
                Nonce::new_random,
            )
            .set_pkce_challenge(challenge);
        for scope in &self.options.scopes {
            request = request.add_scope(Scope::new(scope.clone()));
        }
        let (url, _, nonce) = request.url();
        Ok(Begun { url, nonce: nonce.secret().clone(), verifier: verifier.into_secret() })
    }

    /// Ends a sign-in: exchanges the code, verifies the ID token (signature, issuer, audience, time, nonce), and asks for the user's
    /// information where the provider has it apart.
    ///
    /// # Errors
    /// [`Error::Refused`]: the code is wrong, used or too old; [`Error::Token`]; [`Error::Provider`].
    pub async fn finish(&self, code: &str, nonce: &str, verifier: &str) -> Result<Claims, Error> {
        let mut known = self.known(FRESH).await?;
        let request = known.client.exchange_code(AuthorizationCode::new(code.to_owned()));
        let request = request.map_err(|error| self.failed(error))?;
        let answer = request
            .set_pkce_verifier(PkceCodeVerifier::new(verifier.to_owned()))
            .request_async(&self.http)
            .await
            .map_err(|error| self.refused(&error))?;
        let token = answer.id_token().ok_or_else(|| self.untrusted("there is none in the answer"))?;
        let nonce = Nonce::new(nonce.to_owned());
        let mut verified = verify(&known, token, &nonce);
        if matches!(
            &verified,
            Err(ClaimsVerificationError::SignatureVerification(SignatureVerificationError::NoMatchingKey))
        ) {
            // The provider may have changed its keys. The token came from it directly, so nobody else can make us ask again and again.
            known = self.known(Duration::ZERO).await?;
            verified = verify(&known, token, &nonce);
        }
        let subject = verified.map_err(|error| self.untrusted(chain(&error)))?;
        let mut all = payload(token).ok_or_else(|| self.untrusted("it is not a JSON object"))?;
        if let Some(endpoint) = &known.userinfo {
            let more = self.userinfo(endpoint, answer.access_token().secret()).await?;
            // An answer about somebody else must not be taken for this one (OpenID Connect Core, 5.3.2).
            if more.get("sub").and_then(Value::as_str) != Some(subject.as_str()) {
                return Err(self.untrusted("the user's information is about another subject"));
            }
            for (name, value) in more {
                all.entry(name).or_insert(value);
            }
        }
        Ok(Claims { issuer: self.options.issuer.clone(), subject, all })
    }

    async fn userinfo(&self, endpoint: &Url, token: &str) -> Result<Map<String, Value>, Error> {
        let request = http::Request::get(endpoint.as_str())
            .header(http::header::AUTHORIZATION, format!("Bearer {token}"))
            .header(http::header::ACCEPT, "application/json")
            .body(Vec::new())
            .map_err(|error| self.failed(error))?;
        let answer = self.http.send(request).await.map_err(|error| self.failed(error))?;
        if !answer.status().is_success() {
            return Err(self.failed(format!("{} from {endpoint}", answer.status())));
        }
        serde_json::from_slice(answer.body())
            .map_err(|error| self.failed(format!("the user's information is no JSON object: {error}")))
    }

    fn refused<T>(&self, error: &openidconnect::RequestTokenError<Failed, T>) -> Error
    where
        T: openidconnect::ErrorResponse + 'static,
    {
        use openidconnect::RequestTokenError as E;
        let issuer = self.options.issuer.clone();
        match error {
            E::ServerResponse(_) => Error::Refused { issuer, why: chain(error) },
            _ => Error::Provider { issuer, why: chain(error) },
        }
    }
}

/// The subject of a token, after everything about it was checked.
fn verify(known: &Known, token: &CoreIdToken, nonce: &Nonce) -> Result<String, ClaimsVerificationError> {
    let verifier = known.client.id_token_verifier();
    Ok(token.claims(&verifier, nonce)?.subject().to_string())
}

/// The claims of a verified token with those that the library has no name for.
fn payload(token: &CoreIdToken) -> Option<Map<String, Value>> {
    let text = token.to_string();
    let middle = text.split('.').nth(1)?;
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(middle).ok()?).ok()
}

/// An error and what is under it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut inner = error.source();
    while let Some(source) = inner {
        text.push_str(": ");
        text.push_str(&source.to_string());
        inner = source.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(issuer: &str) -> Options {
        Options {
            issuer: issuer.into(),
            client_id: "rixin".into(),
            client_secret: None,
            redirect: "http://127.0.0.1:8460/api/session/oidc/callback".into(),
            scopes: vec!["email".into()],
        }
    }

    #[test]
    fn a_provider_elsewhere_is_asked_over_https_alone() {
        for good in [
            "https://id.example.org",
            "http://127.0.0.1:3000",
            "http://localhost:3000",
            "http://[::1]:3000/x",
        ] {
            assert!(Provider::new(options(good)).is_ok(), "{good}");
        }
        for bad in
            ["http://id.example.org", "http://localhost.example.org", "ftp://127.0.0.1", "id.example.org", ""]
        {
            assert!(matches!(Provider::new(options(bad)), Err(Error::Setting { .. })), "{bad}");
        }
        let nameless = Options { client_id: " ".into(), ..options("https://id.example.org") };
        assert!(Provider::new(nameless).is_err());
    }

    #[test]
    fn an_address_counts_if_it_was_made_sure_of() {
        let claims = |json: &str| Claims {
            issuer: "i".into(),
            subject: "s".into(),
            all: serde_json::from_str(json).expect("JSON"),
        };
        assert_eq!(claims(r#"{"email": "a@b", "email_verified": true}"#).email(), Some("a@b"));
        assert_eq!(claims(r#"{"email": "a@b", "email_verified": "true"}"#).email(), Some("a@b"));
        for unsure in [
            r#"{"email": "a@b"}"#,
            r#"{"email": "a@b", "email_verified": false}"#,
            r#"{"email_verified": true}"#,
        ] {
            assert_eq!(claims(unsure).email(), None, "{unsure}");
        }
    }
}
