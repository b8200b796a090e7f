//! Keeps a replica on a cluster's node known to the gateways: registers it, renews its lease, and says when it is not wanted any more.

use std::{net::IpAddr, pin::Pin, time::Duration};

use rixin_base::{Code, Fault};
use rixin_protocol::replica::{Register, ReplicaLease};
use rixin_replica::Serving;
use tokio::time::Instant;
use url::Url;

/// How long a gateway is looked for that has never answered.
const PATIENCE: Duration = Duration::from_secs(600);
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(10);
/// The longest answer that is read, in bytes.
const ANSWER_MOST: usize = 64 << 10;

/// What came of a question.
enum Answer {
    /// It may be asked for so long.
    Granted(Duration),
    /// It is not wanted.
    Refused(String),
    /// Nobody answers, or not sensibly: again later.
    Unheard(String),
}

/// Registers and renews until the gateways say that the replica is not wanted any more; gives that as the reason.
pub fn keep(serving: Serving) -> Pin<Box<dyn Future<Output = Fault> + Send>> {
    Box::pin(async move { kept(serving).await })
}

async fn kept(serving: Serving) -> Fault {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = match reqwest::Client::builder().no_proxy().timeout(TIMEOUT).connect_timeout(TIMEOUT).build()
    {
        Ok(client) => client,
        Err(error) => return Fault::internal(error),
    };
    let base = serving.cluster.gateway.trim_end_matches('/').to_owned();
    let id = serving.cluster.replica;
    let (begun, mut pause) = (Instant::now(), FIRST_PAUSE);
    let mut lease = loop {
        let answer = match address(&base, serving.port).await {
            Ok(address) => {
                let said = Register {
                    replica: id,
                    address,
                    key: serving.key.clone(),
                    slots: serving.slots,
                    context_length: serving.context_length,
                    memory_bytes: serving.memory_bytes,
                };
                let url = format!("{base}/api/replicas/register");
                ask(client.post(url).bearer_auth(&serving.cluster.token).json(&said)).await
            }
            Err(why) => Answer::Unheard(why),
        };
        match answer {
            Answer::Granted(lease) => break lease,
            Answer::Refused(why) => return unwanted(&why),
            Answer::Unheard(why) if begun.elapsed() > PATIENCE => return unreachable(&base, &why),
            Answer::Unheard(why) => {
                tracing::warn!(gateway = base, why, "the gateway does not answer; it is asked again")
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    };
    tracing::info!(gateway = base, "registered");
    let url = format!("{base}/api/replicas/{id}/renew");
    loop {
        tokio::time::sleep(lease / 3).await;
        match ask(client.post(&url).bearer_auth(&serving.key)).await {
            Answer::Granted(granted) => lease = granted,
            Answer::Refused(why) => return unwanted(&why),
            // whoever looks after it decides how long a silent one is waited for; it goes on when a gateway is back
            Answer::Unheard(why) => {
                tracing::warn!(gateway = base, why, "the lease could not be renewed; it is tried again")
            }
        }
    }
}

/// Where the gateway's machine reaches this one: the address from which this one reaches the gateway.
async fn address(gateway: &str, port: u16) -> Result<String, String> {
    let url = Url::parse(gateway).map_err(|error| format!("{gateway:?} is no address: {error}"))?;
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
    let to = (host, url.port_or_known_default().unwrap_or(80));
    let connecting = tokio::net::TcpStream::connect(to);
    let stream =
        tokio::time::timeout(TIMEOUT, connecting).await.map_err(|_| "it does not answer".to_owned())?;
    let ip = stream.and_then(|stream| stream.local_addr()).map_err(|error| error.to_string())?.ip();
    Ok(match ip.to_canonical() {
        IpAddr::V4(ip) => format!("http://{ip}:{port}/v1"),
        IpAddr::V6(ip) => format!("http://[{ip}]:{port}/v1"),
    })
}

async fn ask(request: reqwest::RequestBuilder) -> Answer {
    let mut response = match request.send().await {
        Ok(response) => response,
        Err(error) => return Answer::Unheard(innermost(&error)),
    };
    let status = response.status();
    let mut bytes = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        if bytes.len() + chunk.len() > ANSWER_MOST {
            break;
        }
        bytes.extend_from_slice(&chunk);
    }
    if status.is_success() {
        return match serde_json::from_slice::<ReplicaLease>(&bytes) {
            Ok(lease) if lease.lease_ms > 0 => Answer::Granted(Duration::from_millis(lease.lease_ms)),
            _ => Answer::Unheard("its answer makes no sense".into()),
        };
    }
    let text: String = String::from_utf8_lossy(&bytes).chars().take(300).collect();
    // 404 too: the row is gone
    if matches!(status.as_u16(), 400 | 401 | 403 | 404 | 409 | 422) {
        return Answer::Refused(text);
    }
    Answer::Unheard(format!("{status} {text}"))
}

fn innermost(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        text = inner.to_string();
        source = inner.source();
    }
    text
}

fn unwanted(why: &str) -> Fault {
    Fault::new(
        Code::ReplicaLost,
        format!("the gateway does not want this replica any more: {why}"),
        format!("网关不再需要此副本：{why}"),
    )
}

fn unreachable(gateway: &str, why: &str) -> Fault {
    let secs = PATIENCE.as_secs();
    Fault::new(
        Code::BadUpstream,
        format!(
            "the gateway {gateway} did not answer for {secs} s ({why}): set gateway_url to an address that the nodes reach"
        ),
        format!("网关 {gateway} 在 {secs} 秒内没有响应（{why}）：请将 gateway_url 设为各节点可访问的地址"),
    )
}
