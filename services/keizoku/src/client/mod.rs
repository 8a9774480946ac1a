//! The client half of the program: where the server is, how it is asked, and what is done with its answers.

pub(crate) mod account;
pub(crate) mod contexts;
pub(crate) mod methods;
pub(crate) mod moment;
pub(crate) mod pages;
pub(crate) mod reflect;
pub(crate) mod resolve;
mod show;

use std::path::PathBuf;

use clap::Args;
use keizoku_proto::ingestion::{WhoAmIRequest, WhoAmIResponse};
use keizoku_runtime::client::{repeatable, streaming};
use keizoku_runtime::config::{Secret, TimeSpan};
use keizoku_runtime::{Client, ClientSettings, Credential};
use prost::Message;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Code, Request, Status, Streaming};
use tonic_prost::ProstCodec;

use crate::failure::Failure;
use crate::output::{Answer, Language, OutputArgs, Style};
use crate::shell::Shell;

use contexts::Context;
use methods::Method;
use resolve::Target;

/// The longest answer that is taken: a page of 1,000 rows of documents fits many times.
const MOST_ANSWER_BYTES: usize = 64 << 20;

/// Flags of every command that asks a server.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Common {
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    /// Print the grpcurl call that does the same, and call nothing
    #[arg(long, global = true)]
    pub(crate) show_request: bool,
}

/// Flags about the server that is asked.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ConnectionArgs {
    /// The server's address; else KEIZOKU_ENDPOINT, else that of the context
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) endpoint: Option<String>,
    /// The API key; else KEIZOKU_API_KEY, else that of the context. Other users of a machine can see flags
    #[arg(id = "api_key", long = "key", global = true, value_name = "KEY")]
    pub(crate) key: Option<String>,
    /// The context to take both from; else the current one, see `keizoku context`
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) context: Option<String>,
    /// PEM file of the authority that vouches for the server; else KEIZOKU_CA_FILE, else that of the context
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// How long a call may take
    #[arg(long, global = true, value_name = "TIME", default_value_t = TimeSpan::seconds(30))]
    pub(crate) timeout: TimeSpan,
}

/// A command at work: its surroundings, its server, the form of its answer.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    /// The surroundings.
    pub(crate) shell: &'a mut Shell,
    /// The form of the answer.
    pub(crate) style: Style,
    target: Target,
    client: Client,
    show: bool,
}

impl<'a> Session<'a> {
    /// Finds out where the server is. Nothing is sent yet.
    ///
    /// # Errors
    /// No server is known, or what is known of it has no meaning.
    pub(crate) fn open(shell: &'a mut Shell, common: &Common) -> Result<Self, Failure> {
        let target = resolve::target(&common.connection, shell)?;
        let settings = ClientSettings {
            address: target.endpoint.clone(),
            authority: target.ca_file.clone(),
            timeout: common.connection.timeout,
            connect_timeout: TimeSpan::seconds(5),
            ..ClientSettings::default()
        };
        let credential = match &target.key {
            Some(key) => Credential::Bearer(Secret::new(key.clone())),
            None => Credential::None,
        };
        let client = Client::new(&settings, &credential)?;
        let style = Style::new(&common.output, shell);
        Ok(Self { style, target, client, show: common.show_request, shell })
    }

    /// The language of labels.
    pub(crate) fn language(&self) -> Language {
        self.style.language
    }

    /// Calls a method, or shows the call where that was asked for.
    ///
    /// # Errors
    /// The server's refusal; [`Failure::Shown`] where the call was shown.
    pub(crate) async fn call<Q, A>(&mut self, method: &Method<Q, A>, message: Q) -> Result<A, Failure>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        self.show_instead(method, &message)?;
        self.look_up(method, message).await
    }

    /// Calls a method whatever was asked for: for what must be known before the call that was asked for.
    ///
    /// # Errors
    /// The server's refusal.
    pub(crate) async fn look_up<Q, A>(&mut self, method: &Method<Q, A>, message: Q) -> Result<A, Failure>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let request = if method.is_repeatable() { repeatable(message) } else { Request::new(message) };
        let mut grpc = self.grpc();
        let answer = grpc.unary(request, path(method), ProstCodec::<Q, A>::default()).await;
        answer.map(tonic::Response::into_inner).map_err(|status| self.refused(status))
    }

    /// Opens a stream of answers, or shows the call where that was asked for.
    ///
    /// # Errors
    /// As of [`Session::call`].
    pub(crate) async fn open_stream<Q, A>(&mut self, method: &Method<Q, A>, message: Q) -> Result<Streaming<A>, Failure>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        self.show_instead(method, &message)?;
        let mut grpc = self.grpc();
        let answer = grpc.server_streaming(streaming(message), path(method), ProstCodec::<Q, A>::default()).await;
        answer.map(tonic::Response::into_inner).map_err(|status| self.refused(status))
    }

    /// A status of the server as the command's failure.
    pub(crate) fn refused(&self, status: Status) -> Failure {
        Failure::Call { status: Box::new(status), endpoint: self.target.endpoint.clone() }
    }

    /// The channel to the server, for commands that send more than this offers.
    pub(crate) fn client(&self) -> Client {
        self.client.clone()
    }

    /// The server and the key as a context.
    pub(crate) fn context(&self) -> Context {
        let Target { endpoint, key, ca_file } = self.target.clone();
        Context { endpoint, key: key.unwrap_or_default(), ca_file }
    }

    /// Who the key belongs to, and the workspace's time.
    ///
    /// # Errors
    /// The server's refusal.
    pub(crate) async fn who_am_i(&mut self) -> Result<WhoAmIResponse, Failure> {
        self.look_up(&methods::WHO_AM_I, WhoAmIRequest {}).await
    }

    /// Prints the answer in the form asked for.
    ///
    /// # Errors
    /// It cannot be printed.
    pub(crate) fn print(&mut self, answer: &Answer) -> Result<(), Failure> {
        let text = answer.render(&self.style)?;
        self.shell.print(&text)
    }

    fn show_instead<Q: Message, A>(&mut self, method: &Method<Q, A>, message: &Q) -> Result<(), Failure> {
        if !self.show {
            return Ok(());
        }
        let command = show::grpcurl(&self.target, method.path(), &reflect::request(method.path(), message)?)?;
        self.shell.print(&command)?;
        Err(Failure::Shown)
    }

    fn grpc(&self) -> Grpc<Client> {
        Grpc::new(self.client.clone()).max_decoding_message_size(MOST_ANSWER_BYTES)
    }
}

/// Whether a call failed because of the key: what is only nice to know is then left out.
pub(crate) fn is_denied(failure: &Failure) -> bool {
    matches!(failure, Failure::Call { status, .. } if matches!(status.code(), Code::PermissionDenied | Code::NotFound))
}

/// An id for a change, so that a repeat of the request is known as one.
pub(crate) fn request_id() -> String {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).unwrap_or_else(|fault| panic!("the operating system gave no random bytes: {fault}"));
    data_encoding::HEXLOWER.encode(&bytes)
}

fn path<Q, A>(method: &Method<Q, A>) -> PathAndQuery {
    format!("/{}", method.path()).parse().unwrap_or_else(|_| PathAndQuery::from_static("/"))
}
