//! What tests of this crate stand on: a folder of their own, the program run in this process, and a server that answers
//! each method with what the test says.

mod every;
mod files;
mod reads;
mod sending;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bytes::{BufMut as _, Bytes, BytesMut};
use futures::StreamExt as _;
use http::{HeaderMap, HeaderValue};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use prost::Message;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::Status;

use crate::cli;
use crate::client::methods::Method;
use crate::shell::Shell;

/// A folder for one test, gone with it.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("keizoku-cli-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("a folder for the test");
        Self(path)
    }

    /// Writes a file, and gives its path as a word of a command line.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).expect("a file for the test");
        path.to_str().expect("a path in Unicode").to_owned()
    }

    /// Surroundings whose files are in this folder.
    pub(crate) fn shell(&self, variables: &[(&str, &str)]) -> Shell {
        Shell::of_test(self.environment(variables), io::empty(), io::sink(), io::sink())
    }

    fn environment(&self, variables: &[(&str, &str)]) -> BTreeMap<String, String> {
        let own = ("XDG_CONFIG_HOME", self.0.to_str().expect("a path in Unicode"));
        variables.iter().chain([&own]).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _left_over = std::fs::remove_dir_all(&self.0);
    }
}

/// What a run of the program told.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) code: u8,
    pub(crate) output: String,
    pub(crate) notes: String,
}

/// Runs the program with these words, without a server.
pub(crate) async fn run_here(folder: &Folder, words: &[&str]) -> Told {
    run(folder.environment(&[]), "", words).await
}

async fn run(environment: BTreeMap<String, String>, input: &str, words: &[&str]) -> Told {
    let (output, notes) = (Written::default(), Written::default());
    let input = io::Cursor::new(input.to_owned().into_bytes());
    let mut shell = Shell::of_test(environment, input, output.clone(), notes.clone());
    let code = cli::run(["keizoku"].iter().chain(words).copied(), &mut shell).await;
    Told { code, output: output.text(), notes: notes.text() }
}

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("no test panicked here").clone()).expect("output is UTF-8")
    }
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no test panicked here").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

type Handler = Box<dyn FnMut(Bytes, &HeaderMap) -> Result<Vec<Vec<u8>>, Status> + Send>;

/// A server on loopback that answers each method with what the test says.
#[derive(Default)]
pub(crate) struct Server {
    handlers: BTreeMap<String, Handler>,
}

/// A server at work; it ends with the test's runtime.
pub(crate) struct Running {
    address: String,
    folder: Folder,
}

impl Server {
    /// Answers calls of a method.
    pub(crate) fn on<Q, A>(
        self,
        method: &Method<Q, A>,
        mut answer: impl FnMut(Q) -> Result<A, Status> + Send + 'static,
    ) -> Self
    where
        Q: Message + Default,
        A: Message,
    {
        self.on_stream(method, move |request| answer(request).map(|one| vec![one]))
    }

    /// Answers calls of a method whose answer is a stream, which ends after these messages.
    pub(crate) fn on_stream<Q, A>(
        mut self,
        method: &Method<Q, A>,
        mut answers: impl FnMut(Q) -> Result<Vec<A>, Status> + Send + 'static,
    ) -> Self
    where
        Q: Message + Default,
        A: Message,
    {
        let handler: Handler = Box::new(move |bytes, headers| {
            if headers.get("authorization").is_none_or(|key| key != "Bearer kz_trial") {
                return Err(Status::unauthenticated("no key was shown, or another one"));
            }
            let request = Q::decode(bytes).map_err(|fault| Status::invalid_argument(fault.to_string()))?;
            Ok(answers(request)?.iter().map(Message::encode_to_vec).collect())
        });
        self.handlers.insert(format!("/{}", method.path()), handler);
        self
    }

    /// Begins to listen.
    #[expect(clippy::disallowed_methods, reason = "the server lives as long as the test's runtime")]
    pub(crate) async fn start(self) -> Running {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let handlers = Arc::new(Mutex::new(self.handlers));
        let router = Router::new().fallback(move |request: Request| answer(handlers.clone(), request));
        let routes = tonic::service::Routes::from(router);
        let server = tonic::transport::Server::builder().add_routes(routes);
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        Running { address, folder: Folder::new() }
    }
}

impl Running {
    /// Runs the program against this server.
    pub(crate) async fn run(&self, words: &[&str]) -> Told {
        self.run_with(&[], "", words).await
    }

    /// As [`Running::run`], with more variables and with input.
    pub(crate) async fn run_with(&self, variables: &[(&str, &str)], input: &str, words: &[&str]) -> Told {
        let mut environment = self.folder.environment(variables);
        environment.insert("KEIZOKU_ENDPOINT".to_owned(), self.address.clone());
        environment.entry("KEIZOKU_API_KEY".to_owned()).or_insert_with(|| "kz_trial".to_owned());
        run(environment, input, words).await
    }

    /// The folder of the test.
    pub(crate) fn folder(&self) -> &Folder {
        &self.folder
    }
}

async fn answer(handlers: Arc<Mutex<BTreeMap<String, Handler>>>, request: Request) -> Result<Response, Infallible> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.expect("the request is sent whole").to_bytes();
    // A message is led by a flag and its length.
    let message = body.slice(5.min(body.len())..);
    let told = match handlers.lock().expect("no handler panicked").get_mut(parts.uri.path()) {
        Some(handler) => handler(message, &parts.headers),
        None => Err(Status::unimplemented(format!("the test answers no {}", parts.uri.path()))),
    };
    Ok(match told {
        Ok(messages) => streamed(messages),
        Err(status) => status.into_http(),
    })
}

fn streamed(messages: Vec<Vec<u8>>) -> Response {
    let frames = messages.into_iter().map(|message| {
        let mut frame = BytesMut::with_capacity(5 + message.len());
        frame.put_u8(0);
        frame.put_u32(u32::try_from(message.len()).expect("a small message"));
        frame.put_slice(&message);
        Frame::data(frame.freeze())
    });
    let end = Frame::trailers(HeaderMap::from_iter([("grpc-status".parse().expect("a name"), HeaderValue::from(0))]));
    let body = futures::stream::iter(frames.chain([end]).collect::<Vec<_>>()).map(Ok::<_, Infallible>);
    let response = Response::builder().header("content-type", "application/grpc");
    response.body(Body::new(StreamBody::new(body))).expect("a response")
}
