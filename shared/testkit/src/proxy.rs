//! A TCP proxy on loopback that fails on command.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Stands between a client and a server. Connections of an earlier state are never revived: after [`FaultProxy::cut`] and
/// [`FaultProxy::restore`] the client must connect again.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    network: watch::Sender<Network>,
    /// Ends the proxy and its connections when dropped.
    _tasks: JoinSet<()>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Network {
    /// Bytes pass, each piece after this long.
    Up(Duration),
    /// Connections stay open and no byte passes.
    Frozen,
    /// Every connection is ended, new ones as soon as they come.
    Cut,
}

impl FaultProxy {
    /// Listens on a free loopback port and passes everything on to `target` (`host:port`), which need not be up yet.
    pub async fn start(target: impl Into<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free loopback port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let (network, seen) = watch::channel(Network::Up(Duration::ZERO));
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, target.into(), seen));
        Self { address, network, _tasks: tasks }
    }

    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends every connection; new ones are accepted and ended at once.
    pub fn cut(&self) {
        self.network.send_replace(Network::Cut);
    }

    /// Lets connections stand without passing a byte, as when a cable is pulled.
    pub fn freeze(&self) {
        self.network.send_replace(Network::Frozen);
    }

    /// Holds every piece of data back for `pause`, in both directions.
    pub fn delay(&self, pause: Duration) {
        self.network.send_replace(Network::Up(pause));
    }

    /// Passes everything on at once again. What was frozen flows on.
    pub fn restore(&self) {
        self.network.send_replace(Network::Up(Duration::ZERO));
    }
}

async fn accept(listener: TcpListener, target: String, network: watch::Receiver<Network>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok((client, _)) = listener.accept().await else { continue };
        if *network.borrow() != Network::Cut {
            connections.spawn(connection(client, target.clone(), network.clone()));
        }
    }
}

async fn connection(client: TcpStream, target: String, mut network: watch::Receiver<Network>) {
    let Ok(server) = TcpStream::connect(target).await else { return };
    // Otherwise two small writes may wait 40 ms for each other and look like a slow server.
    client.set_nodelay(true).ok();
    server.set_nodelay(true).ok();
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let there = pump(from_client, to_server, network.clone());
    let back = pump(from_server, to_client, network.clone());
    tokio::select! {
        _ = async { tokio::join!(there, back) } => {}
        _ = network.wait_for(|state| *state == Network::Cut) => {}
    }
}

/// Copies until the reading side ends, then ends the writing side too.
async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut network: watch::Receiver<Network>) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = match from.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(length) => length,
        };
        if !pass(&mut network).await || to.write_all(&buffer[..length]).await.is_err() {
            break;
        }
    }
    to.shutdown().await.ok();
}

/// Waits as long as the network asks for; false when there is none any more.
async fn pass(network: &mut watch::Receiver<Network>) -> bool {
    loop {
        let state = *network.borrow_and_update();
        match state {
            Network::Up(Duration::ZERO) => return true,
            Network::Up(pause) => {
                tokio::time::sleep(pause).await;
                return true;
            }
            Network::Frozen if network.changed().await.is_err() => return false,
            Network::Frozen => {}
            Network::Cut => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tokio::time::timeout;

    use super::*;

    /// Sends a byte and waits for it to come back.
    async fn echo(stream: &mut TcpStream) -> std::io::Result<u8> {
        stream.write_all(&[7]).await?;
        stream.read_u8().await
    }

    async fn echo_server() -> (SocketAddr, JoinSet<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(async move {
                    let (mut from, mut to) = stream.into_split();
                    tokio::io::copy(&mut from, &mut to).await
                });
            }
        });
        (address, tasks)
    }

    #[tokio::test]
    async fn a_cut_network_ends_connections_and_a_restored_one_takes_new_ones() {
        let (server, _tasks) = echo_server().await;
        let proxy = FaultProxy::start(server.to_string()).await;
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(echo(&mut stream).await.unwrap(), 7);

        proxy.cut();
        assert!(echo(&mut stream).await.is_err());
        let mut refused = TcpStream::connect(proxy.address()).await.unwrap();
        assert!(echo(&mut refused).await.is_err());

        proxy.restore();
        let mut fresh = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(echo(&mut fresh).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn a_frozen_network_passes_nothing_until_it_is_restored() {
        let (server, _tasks) = echo_server().await;
        let proxy = FaultProxy::start(server.to_string()).await;
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        proxy.freeze();
        stream.write_all(&[9]).await.unwrap();
        assert!(timeout(Duration::from_millis(50), stream.read_u8()).await.is_err());
        proxy.restore();
        assert_eq!(stream.read_u8().await.unwrap(), 9);
    }

    #[tokio::test]
    async fn a_delayed_network_is_slow_in_both_directions() {
        let (server, _tasks) = echo_server().await;
        let proxy = FaultProxy::start(server.to_string()).await;
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        proxy.delay(Duration::from_millis(40));
        let start = Instant::now();
        assert_eq!(echo(&mut stream).await.unwrap(), 7);
        assert!(start.elapsed() >= Duration::from_millis(80));
    }
}
