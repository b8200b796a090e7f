//! `rixin serve`.

mod lock;
mod port;

use std::{
    io::Write,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use clap::Args;
use rixin_base::{Cancel, Fault};
use rixin_control::Control;
use rixin_models::{Puller, Registry};
use rixin_store::Store;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    context::Context,
    out::{Done, Exit, Out},
};

/// Flags of `rixin serve`.
#[derive(Args, Debug)]
pub struct Serve {
    /// Address and port to listen on, such as 127.0.0.1:8460
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Only the port
    #[arg(long, value_name = "PORT", conflicts_with = "listen")]
    port: Option<u16>,
    /// Form of the log
    #[arg(long, value_name = "FORM", value_parser = ["text", "json"])]
    log_format: Option<String>,
    /// Refuse every outbound connection
    #[arg(long)]
    offline: bool,
}

impl Serve {
    /// The settings that its flags stand for.
    pub fn flags(&self) -> Vec<(&'static str, String)> {
        let mut flags = Vec::new();
        if let Some(listen) = &self.listen {
            flags.push(("listen", listen.clone()));
        }
        if let Some(form) = &self.log_format {
            flags.push(("log_format", form.clone()));
        }
        if self.offline {
            flags.push(("offline", "true".to_owned()));
        }
        flags
    }

    /// Serves until it is told to stop.
    pub async fn run(self, context: Context) -> Done {
        let out = context.out;
        let mut settings = context.resolved.settings.clone();
        if let Some(port) = self.port {
            settings.listen.set_port(port);
        }
        // Held until the process ends.
        let lock = lock::ServeLock::take(&settings.data_dir)?;
        let listener = port::bind(settings.listen)?;
        let address = listener.local_addr().map_err(Fault::internal)?;
        settings.listen = address;
        lock.tell(address);

        let settings = Arc::new(settings);
        let store = Store::open(&settings.data_dir).await?;
        let registry = Registry::open(&settings.data_dir).await?;
        let control = Control::start(Arc::clone(&settings), registry.clone(), store.clone()).await?;
        let first = store.first_key().await?;
        let shutdown = Cancel::new();
        watch_signals(out, shutdown.clone(), settings.drain)?;

        let state = rixin_api::AppState::new(rixin_api::Parts {
            settings: Arc::clone(&settings),
            store: store.clone(),
            registry: registry.clone(),
            puller: Puller::new(Arc::clone(&settings), registry)?,
            control: Arc::clone(&control),
        });
        let serving = tokio::spawn(rixin_api::serve(state, listener, shutdown.clone()));
        announce(out, address, first.as_ref().map(|key| key.secret.as_str()));
        drop(first);
        warn_if_reachable(out, address);
        let served = serving.await.map_err(Fault::internal)?;
        control.shutdown(settings.drain).await;
        store.close().await;
        drop(lock);
        served.map_err(Fault::internal)?;
        tracing::info!("stopped");
        Ok(Exit::Ok)
    }
}

/// Says that it is ready, and the first key once. A reader that is gone is no reason to stop serving.
fn announce(out: Out, address: SocketAddr, key: Option<&str>) {
    let url = url(address);
    let mut text = String::new();
    if out.json {
        let mut line = json!({"event": "ready", "url": url, "pid": std::process::id()});
        if let Some(key) = key {
            line["admin_key"] = json!(key);
        }
        text.push_str(&format!("{line}\n"));
    } else {
        if let Some(key) = key {
            text.push_str(&out.lang.pick(
                format!("Admin key:  {key}\n            It is shown this once and stored nowhere: keep it. Another one: rixin keys create NAME --role admin\n"),
                format!("管理员密钥：{key}\n            只显示这一次，不会保存在任何地方，请妥善保管。另建：rixin keys create 名称 --role admin\n"),
            ));
        }
        text.push_str(&out.lang.pick(
            format!(
                "Console:    {url}\nAPI:        {url}/v1   (OpenAI-compatible; documents at {url}/docs)\n"
            ),
            format!("控制台：    {url}\nAPI：       {url}/v1 （兼容 OpenAI；文档见 {url}/docs）\n"),
        ));
        text.push_str(&format!("ready {url}\n"));
    }
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

/// The address that a browser on this machine opens.
fn url(address: SocketAddr) -> String {
    let mut shown = address;
    if shown.ip().is_unspecified() {
        shown.set_ip(if shown.is_ipv4() {
            std::net::Ipv4Addr::LOCALHOST.into()
        } else {
            std::net::Ipv6Addr::LOCALHOST.into()
        });
    }
    format!("http://{shown}")
}

fn warn_if_reachable(out: Out, address: SocketAddr) {
    if !address.ip().is_loopback() {
        tracing::warn!(%address, "{}", out.lang.pick(
            "other machines can reach this server, and keys travel unencrypted: put a reverse proxy with TLS in front of it",
            "其他机器可以访问本服务器，密钥以明文传输：请在前面放置带 TLS 的反向代理",
        ));
    }
}

/// The first SIGINT or SIGTERM lets running streams end, the second one ends everything at once.
fn watch_signals(out: Out, shutdown: Cancel, drain: Duration) -> Result<(), Fault> {
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Fault::internal)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(Fault::internal)?;
    let asked = AtomicBool::new(false);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if asked.swap(true, Ordering::Relaxed) {
                tracing::warn!("second signal: ending at once");
                // The replicas see the end of their standard input and go too.
                std::process::exit(Exit::Interrupted as i32);
            }
            tracing::info!(
                "{}",
                out.lang.pick(
                    format!("stopping: running answers get {} s; again: stop at once", drain.as_secs()),
                    format!("正在停止：进行中的回答还有 {} 秒；再次按下立即停止", drain.as_secs()),
                )
            );
            shutdown.cancel();
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_can_be_opened() {
        assert_eq!(url("0.0.0.0:80".parse().expect("an address")), "http://127.0.0.1:80");
        assert_eq!(url("[::]:80".parse().expect("an address")), "http://[::1]:80");
        assert_eq!(url("10.0.0.1:80".parse().expect("an address")), "http://10.0.0.1:80");
    }
}
