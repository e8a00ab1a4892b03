//! Threads and connections: one runtime and one listener per thread on a shared port, and an end in good order.
//!
//! A request never leaves the thread that accepted its connection, so that nothing on its way is shared or woken elsewhere.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinSet, LocalSet};

use super::handler::Handler;
use super::wire::{Heard, Wire};
use crate::error::{ApiError, ErrorKind};
use crate::limits::ServerConfig;
use crate::state::ServingState;
use crate::store::RowStore;

/// A server that listens. Dropping it stops it without waiting.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
}

/// Why a server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error("cannot listen on {address}: {source}; choose another address or stop what holds it")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("cannot start serving thread {index}: {source}")]
    Thread { index: usize, source: io::Error },
}

impl Server {
    /// Listens and serves until stopped. Returns once every thread's listener takes connections.
    pub fn bind<S: RowStore>(config: ServerConfig, state: Arc<ServingState<S>>) -> Result<Server, ServerError> {
        let threads = config.threads.max(1);
        let listeners =
            listen(config.listen, threads).map_err(|source| ServerError::Listen { address: config.listen, source })?;
        let address = match listeners.first().map(std::net::TcpListener::local_addr) {
            Some(Ok(address)) => address,
            _ => config.listen,
        };
        let limits = Arc::new(config.limits);
        let (stop, stopped) = watch::channel(false);
        let mut server = Server { address, stop, threads: Vec::with_capacity(threads) };
        for (index, listener) in listeners.into_iter().enumerate() {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .max_blocking_threads(limits.ingest_in_flight.clamp(1, 64))
                .thread_name("serving-ingest")
                .build()
                .map_err(|source| ServerError::Thread { index, source })?;
            let (state, limits, stopped) = (state.clone(), limits.clone(), stopped.clone());
            let serve = move || {
                let handler = Rc::new(Handler::new(state, limits));
                LocalSet::new().block_on(&runtime, accept(listener, handler, stopped));
                // A log that hangs must not keep the process.
                runtime.shutdown_timeout(Duration::from_secs(1));
            };
            let thread = std::thread::Builder::new().name(format!("serving-{index}")).spawn(serve);
            server.threads.push(thread.map_err(|source| ServerError::Thread { index, source })?);
        }
        Ok(server)
    }

    /// Where the server listens, the port chosen included.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Stops accepting, finishes the requests in flight within the drain timeout, and ends all threads. Blocks.
    pub fn shutdown(mut self) {
        self.stop.send_replace(true);
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a serving thread had panicked");
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

/// One listener per thread on one port.
fn listen(address: SocketAddr, threads: usize) -> io::Result<Vec<std::net::TcpListener>> {
    // Two servers of one user could share a port unnoticed, for sharing it is what SO_REUSEPORT is for: ask without it first.
    let probe = socket(address, false)?;
    probe.listen(1)?;
    let port = probe.local_addr()?.as_socket().map_or(address.port(), |bound| bound.port());
    drop(probe);
    let address = SocketAddr::new(address.ip(), port);
    let one = |_| {
        let socket = socket(address, true)?;
        socket.listen(1024)?;
        socket.set_nonblocking(true)?;
        Ok(socket.into())
    };
    (0..threads).map(one).collect()
}

fn socket(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if shared {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

/// One thread's life: accepts until told to stop, then waits for its connections.
async fn accept<S: RowStore>(listener: std::net::TcpListener, handler: Rc<Handler<S>>, stopped: watch::Receiver<bool>) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "a serving thread cannot use its listener");
            return;
        }
    };
    let mut connections = JoinSet::new();
    let mut stop = stopped.clone();
    loop {
        tokio::select! {
            // The sender lives as long as the server; its end is a stop too.
            _ = stop.wait_for(|stop| *stop) => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn_local(connection(stream, handler.clone(), stopped.clone()));
                }
                Err(error) => {
                    // Out of descriptors, most likely: connections that end free some.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
    drop(listener);
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(handler.limits.drain_timeout, drained).await.is_err() {
        tracing::warn!("connections were cut after the drain timeout");
    }
}

async fn connection<S: RowStore>(stream: TcpStream, handler: Rc<Handler<S>>, mut stopped: watch::Receiver<bool>) {
    let Some(_open) = handler.state.connections.take(1, handler.limits.connections) else {
        handler.metrics.shed("connections");
        refuse(stream, handler.limits.connections).await;
        return;
    };
    // Answers are small and complete: waiting to fill a packet only delays them.
    let _ = stream.set_nodelay(true);
    let limits = &handler.limits;
    let heard = Rc::new(Heard::new(limits, handler.metrics.clone()));
    let service = service_fn(|request| {
        let (handler, heard) = (handler.clone(), heard.clone());
        async move { Ok::<_, Infallible>(handler.handle(request, &heard).await) }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_headers(limits.headers)
        .max_buf_size(limits.header_bytes.max(8192))
        .serve_connection(TokioIo::new(Wire::new(stream, heard.clone())), service);
    let mut serving = pin!(serving);
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        _ = stopped.wait_for(|stop| *stop) => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        // Callers leave, and some speak no HTTP; neither is this server's trouble.
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Answers a connection too many without reading from it.
async fn refuse(stream: TcpStream, limit: usize) {
    let error = ApiError::new(ErrorKind::Unavailable, format!("the server has {limit} connections already; try again"));
    let body = error.body();
    let mut answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: {}\r\nretry-after: 1\r\nconnection: close\r\n\r\n",
        body.len()
    )
    .into_bytes();
    answer.extend_from_slice(&body);
    // Best effort: a fresh socket's buffer holds it all, and what is not sent at once is not waited for.
    let _ = stream.writable().await;
    let _ = stream.try_write(&answer);
}
