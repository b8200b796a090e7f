//! The listening socket, and what to say when it can't be had.

use std::{io::ErrorKind, net::SocketAddr};

use rixin_base::{Code, Fault};

/// Binds; the socket is ready for tokio.
///
/// # Errors
/// [`Code::PortInUse`] with a port that is free, or why the address can't be had.
pub fn bind(address: SocketAddr) -> Result<tokio::net::TcpListener, Fault> {
    let socket =
        if address.is_ipv4() { tokio::net::TcpSocket::new_v4() } else { tokio::net::TcpSocket::new_v6() };
    let bound = socket.and_then(|socket| {
        // A restart must not wait for connections of the last run to time out.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(4096)
    });
    bound.map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => in_use(address),
        ErrorKind::PermissionDenied => Fault::new(
            Code::PortInUse,
            format!(
                "{address} can't be listened on: ports below {} belong to root; choose another with --port",
                first_free_port()
            ),
            format!("无法监听 {address}：{} 以下的端口属于 root；请用 --port 换一个", first_free_port()),
        ),
        _ => Fault::new(
            Code::PortInUse,
            format!(
                "{address} can't be listened on: {error}; choose an address of this machine with --listen"
            ),
            format!("无法监听 {address}：{error}；请用 --listen 选择本机的地址"),
        ),
    })
}

fn in_use(address: SocketAddr) -> Fault {
    let free = (1..=20u16)
        .filter_map(|step| address.port().checked_add(step))
        .find(|port| std::net::TcpListener::bind((address.ip(), *port)).is_ok());
    let (en, zh) = match free {
        Some(port) => {
            (format!("free is: rixin serve --port {port}"), format!("空闲端口：rixin serve --port {port}"))
        }
        None => ("choose another with --port".to_owned(), "请用 --port 换一个".to_owned()),
    };
    Fault::new(
        Code::PortInUse,
        format!(
            "another program listens on {address} already; {en} (who it is: ss -ltnp 'sport = :{}')",
            address.port()
        ),
        format!("已有程序在监听 {address}；{zh}（查看占用者：ss -ltnp 'sport = :{}'）", address.port()),
    )
}

/// Linux's first unprivileged port.
fn first_free_port() -> u16 {
    std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start")
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(1024)
}
