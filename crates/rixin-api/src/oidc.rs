//! Signing in at an OpenID Connect provider: two addresses that a browser visits, `/sign-in/oidc` and its `/callback`. They are pages
//! and no API: both answer with a redirect, and what went wrong is the last word of the console's address. `/sign-in/ways` tells the
//! console which ways there are.
//!
//! State and browser are tied together by a cookie that only the browser which began has: the state is its SHA-256. So nobody can make
//! another's browser end a sign-in that it did not begin.

use std::time::Duration;

use axum::{
    Json,
    extract::{Query, State},
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts};
use rixin_base::{Code, Fault, Settings};
use rixin_oidc::{Claims, Options, Provider, Rules};
use rixin_store::{NewSession, OidcFlow, Role, Vouched};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{AppState, address, cookie};

const COOKIE: &str = "rixin_oidc";
/// The longest that somebody may take at the provider.
const WITHIN: Duration = Duration::from_secs(600);

/// The provider, and who may come in from there.
pub(crate) struct Oidc {
    provider: Provider,
    issuer: String,
    rules: Rules,
}

impl Oidc {
    /// As the settings say; `None`: there is no provider. Makes no connection.
    ///
    /// # Errors
    /// A setting is wrong; or everything outbound is refused and the provider is not on this machine.
    pub fn from_settings(settings: &Settings) -> Result<Option<Self>, Fault> {
        let issuer = settings.oidc_issuer.trim();
        if issuer.is_empty() {
            return Ok(None);
        }
        if settings.offline && !rixin_oidc::is_on_this_machine(issuer) {
            return Err(Fault::new(
                Code::Offline,
                format!(
                    "oidc_issuer names {issuer}, and offline refuses every outbound connection: unset one of them"
                ),
                format!("oidc_issuer 指向 {issuer}，而 offline 拒绝一切对外连接：请取消其中一项设置"),
            ));
        }
        let rules: Rules = settings.oidc_rules.parse()?;
        for place in rules.places() {
            place.role.parse::<Role>().map_err(|error| {
                Fault::new(
                    Code::BadSetting,
                    format!("the setting oidc_rules is wrong: {error}"),
                    format!(
                        "设置 oidc_rules 有误：{:?} 不是角色，可用的有 owner、operator、member、auditor",
                        place.role
                    ),
                )
            })?;
        }
        let base = match settings.public_url.trim().trim_end_matches('/') {
            "" => format!("http://{}", settings.listen),
            url => url.to_owned(),
        };
        let provider = Provider::new(Options {
            issuer: issuer.to_owned(),
            client_id: settings.oidc_client_id.clone(),
            client_secret: settings.oidc_client_secret.reveal().map(str::to_owned),
            redirect: format!("{base}/sign-in/oidc/callback"),
            scopes: settings.oidc_scopes.split_whitespace().map(str::to_owned).collect(),
        })?;
        Ok(Some(Self { provider, issuer: issuer.to_owned(), rules }))
    }
}

/// The provider of a gateway that has one.
fn oidc(state: &AppState) -> Result<&Oidc, Fault> {
    state.oidc.as_ref().ok_or_else(|| {
        Fault::new(
            Code::NotFound,
            "no identity provider is set up: set oidc_issuer, oidc_client_id and oidc_rules",
            "未配置身份提供方：请设置 oidc_issuer、oidc_client_id 与 oidc_rules",
        )
    })
}

/// The ways to sign in beside an API key.
#[derive(Serialize)]
pub(crate) struct Ways {
    /// What people call the identity provider; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    oidc: Option<String>,
}

/// `GET /sign-in/ways`, for the console's sign-in page.
pub(crate) async fn ways(State(state): State<AppState>) -> Json<Ways> {
    let name = |oidc: &Oidc| match state.settings.oidc_name.trim() {
        "" => oidc.issuer.clone(),
        name => name.to_owned(),
    };
    Json(Ways { oidc: state.oidc.as_ref().map(name) })
}

fn state_of(secret: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(secret.as_bytes()))
}

/// The browser's half, sent back from the provider by a link: that is why it is `Lax`.
fn binding(state: &AppState, secret: &str) -> Option<HeaderValue> {
    let age = if secret.is_empty() { 0 } else { WITHIN.as_secs() };
    let secure = if cookie::is_secure(state) { "; Secure" } else { "" };
    let text =
        format!("{COOKIE}={secret}; Path=/sign-in/oidc; Max-Age={age}; HttpOnly; SameSite=Lax{secure}");
    HeaderValue::try_from(text).ok()
}

fn redirect(to: &str, cookies: impl IntoIterator<Item = HeaderValue>) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(to) {
        headers.insert(header::LOCATION, value);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    for cookie in cookies {
        headers.append(header::SET_COOKIE, cookie);
    }
    response
}

/// To the console's sign-in page, which has words for the code. What exactly happened is for the log.
fn failed(state: &AppState, fault: &Fault) -> Response {
    tracing::warn!(
        code = fault.code.as_str(),
        reason = fault.message.en,
        "a sign-in at the identity provider failed"
    );
    redirect(&format!("/#/sign-in/{}", fault.code.as_str()), binding(state, ""))
}

/// `GET /sign-in/oidc`: sends the browser to the provider.
pub(crate) async fn begin(State(state): State<AppState>, parts: Parts) -> Response {
    match begun(&state, &parts).await {
        Ok((url, secret)) => redirect(&url, binding(&state, &secret)),
        Err(fault) => failed(&state, &fault),
    }
}

async fn begun(state: &AppState, parts: &Parts) -> Result<(String, String), Fault> {
    let oidc = oidc(state)?;
    state.sign_ins.check(address::of(state, &parts.extensions, &parts.headers), None)?;
    let secret = BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
    let name = state_of(&secret);
    let begun = oidc.provider.begin(&name).await?;
    let flow = OidcFlow { nonce: begun.nonce, verifier: begun.verifier };
    state.store.begin_oidc(&name, &flow, WITHIN).await?;
    Ok((begun.url.into(), secret))
}

/// What the provider sends the browser back with.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Back {
    code: Option<String>,
    state: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
    iss: Option<String>,
}

fn wrong(why: &str) -> Fault {
    Fault::new(
        Code::WrongCredentials,
        format!("the sign-in could not be ended: {why}; begin it again"),
        format!("登录未能完成（{why}）：请重新登录"),
    )
}

/// `GET /sign-in/oidc/callback`: the browser is back.
pub(crate) async fn callback(State(state): State<AppState>, parts: Parts) -> Response {
    let back = Query::<Back>::try_from_uri(&parts.uri).map(|Query(back)| back).unwrap_or_default();
    let agent = parts.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    let from = address::of(&state, &parts.extensions, &parts.headers);
    let new = NewSession {
        agent: agent.unwrap_or_default().to_owned(),
        address: from.map(|address| address.to_string()).unwrap_or_default(),
        lifetime: state.settings.session_lifetime,
    };
    let signed_in = async {
        let who = vouched(&state, &parts.headers, back).await?;
        state.store.sign_in_vouched(&who, &new).await.map_err(|error| {
            let fault = Fault::from(error);
            // Whoever is kept out, or belongs elsewhere, has proved who they are: that they may not is no secret to them.
            match fault.code {
                Code::WrongCredentials => nobody(&who.subject),
                _ => fault,
            }
        })
    };
    match signed_in.await {
        Ok(signed_in) => {
            tracing::info!(member = %signed_in.session.member_id, "somebody signed in at the identity provider");
            let cookies = [cookie::set(&state, &signed_in.secret), binding(&state, "")];
            redirect("/#/chat", cookies.into_iter().flatten())
        }
        Err(fault) => failed(&state, &fault),
    }
}

fn nobody(subject: &str) -> Fault {
    Fault::new(
        Code::Forbidden,
        format!(
            "{subject:?} has no place here: ask an administrator for a line in oidc_rules, or to be let in again"
        ),
        format!("{subject:?} 无权登录：请联系管理员在 oidc_rules 中添加规则，或恢复该成员"),
    )
}

/// Who it is, after everything was checked.
async fn vouched(state: &AppState, headers: &HeaderMap, back: Back) -> Result<Vouched, Fault> {
    let oidc = oidc(state)?;
    let secret = cookie::value(headers, COOKIE).ok_or_else(|| wrong("this browser did not begin it"))?;
    let name = state_of(secret);
    // Whatever comes of it, this sign-in is spent.
    let flow = state.store.take_oidc(&name).await?;
    if back.state.as_deref() != Some(&*name) {
        return Err(wrong("the answer belongs to another sign-in"));
    }
    let flow = flow.ok_or_else(|| wrong("it was ended already, or took too long"))?;
    if back.iss.as_ref().is_some_and(|issuer| *issuer != oidc.issuer) {
        return Err(wrong("the answer is another provider's"));
    }
    if let Some(error) = back.error {
        let more = back.error_description.unwrap_or_default();
        let why: String = format!("{error} {more}").chars().filter(|c| !c.is_control()).take(200).collect();
        return Err(wrong(why.trim()));
    }
    let code = back.code.ok_or_else(|| wrong("there is no code in the answer"))?;
    let claims = oidc.provider.finish(&code, &flow.nonce, &flow.verifier).await?;
    let place = oidc.rules.place(&claims).ok_or_else(|| nobody(&claims.subject))?;
    let role = place.role.parse().map_err(Fault::internal)?;
    Ok(Vouched {
        name: name_of(&claims).to_owned(),
        title: claims.text("name").unwrap_or_default().to_owned(),
        organisation: place.organisation.clone(),
        role,
        issuer: claims.issuer,
        subject: claims.subject,
    })
}

fn name_of(claims: &Claims) -> &str {
    claims.email().or_else(|| claims.text("preferred_username")).unwrap_or(&claims.subject)
}
