//! A bare tonic server that answers `GetScore` with bytes it was given: framing and one round trip, nothing else.

use std::convert::Infallible;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use anyhow::Context as _;
use bytes::{Buf as _, BufMut as _, Bytes};
use futures::future::BoxFuture;
use tonic::body::Body;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::{Request, Response, Status};

/// The argument by which the program becomes the yardstick.
pub(crate) const FLAG: &str = "--echo";

/// The yardstick as a process, ended when the value is dropped.
#[derive(Debug)]
pub(crate) struct Echo {
    child: Child,
    endpoint: String,
}

impl Echo {
    /// Starts it with these answers, which it gives in turn.
    pub(crate) fn start(folder: &Path, answers: &[Vec<u8>]) -> anyhow::Result<Self> {
        let file = folder.join("echo-answers");
        let mut bytes = Vec::new();
        for answer in answers {
            bytes.put_u32(u32::try_from(answer.len())?);
            bytes.extend_from_slice(answer);
        }
        std::fs::write(&file, bytes)?;
        let mut child = Command::new(std::env::current_exe()?)
            .arg(FLAG)
            .arg(&file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("the yardstick cannot be started")?;
        let mut address = String::new();
        BufReader::new(child.stdout.take().context("a piped output")?).read_line(&mut address)?;
        Ok(Self { child, endpoint: format!("http://{}", address.trim()) })
    }

    /// Where it listens.
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The id of its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        // A process that has ended already cannot be killed any more, which is as well.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Is the yardstick, until the parent closes standard input.
pub(crate) async fn serve(answers: PathBuf) -> anyhow::Result<()> {
    let answers = read(&std::fs::read(answers)?)?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    writeln!(std::io::stdout(), "{}", listener.local_addr()?)?;
    // Nothing more can be read from the parent once it has ended, in whatever way.
    let orphaned = tokio::task::spawn_blocking(|| std::io::stdin().lock().read_to_end(&mut Vec::new()));
    answer(listener, answers, async { drop(orphaned.await) }).await
}

/// Gives the answers in turn, until it is asked to stop.
pub(crate) async fn answer(
    listener: tokio::net::TcpListener,
    answers: Vec<Bytes>,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let answers = Answers { all: answers.into(), next: Arc::default() };
    let incoming = tonic::transport::server::TcpIncoming::from(listener).with_nodelay(Some(true));
    Ok(tonic::transport::Server::builder().add_service(answers).serve_with_incoming_shutdown(incoming, stop).await?)
}

/// The service.
#[derive(Debug, Clone)]
struct Answers {
    all: Arc<[Bytes]>,
    next: Arc<AtomicUsize>,
}

impl NamedService for Answers {
    const NAME: &'static str = "keizoku.scoring.v1.ScoreService";
}

impl tower::Service<http::Request<Body>> for Answers {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let answers = self.clone();
        Box::pin(async move { Ok(Grpc::new(Raw).unary(answers, request).await) })
    }
}

impl UnaryService<Bytes> for Answers {
    type Response = Bytes;
    type Future = std::future::Ready<Result<Response<Bytes>, Status>>;

    fn call(&mut self, _: Request<Bytes>) -> Self::Future {
        let place = self.next.fetch_add(1, Ordering::Relaxed) % self.all.len();
        std::future::ready(Ok(Response::new(self.all[place].clone())))
    }
}

/// Bytes as they are.
#[derive(Debug, Clone, Copy)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

fn read(mut bytes: &[u8]) -> anyhow::Result<Vec<Bytes>> {
    let mut answers = Vec::new();
    while !bytes.is_empty() {
        let length = bytes.try_get_u32()? as usize;
        let (answer, rest) = bytes.split_at_checked(length).context("the answers are cut off")?;
        answers.push(Bytes::copy_from_slice(answer));
        bytes = rest;
    }
    anyhow::ensure!(!answers.is_empty(), "there is no answer to give");
    Ok(answers)
}
