//! The two protocols of IRR servers on port 43. IRRd's has `!` queries on a connection that stays open; RIPE's has one query on
//! each connection.
//!
//! Registries limit the connections of one client address, so the number of connections to a server is limited and idle ones
//! are reused. Every answer is limited in time and size.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use super::object::{self, RouteObject};
use crate::model::{Failure, Network, SourceFault};
use crate::web::ConnectionFault;

/// Limit for one query, including the connection.
const QUERY_TIMEOUT: Duration = Duration::from_secs(15);
/// Characters of a refusal that are kept for the error text.
const REFUSAL_CHARS: usize = 200;
/// The largest answer that is read, in bytes.
const MAX_BYTES: u64 = 4 << 20;

/// The protocol of an IRR server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IrrProtocol {
    /// IRRd and compatible servers, such as RADB, NTT and most mirrors.
    Irrd,
    /// The RIPE database and other servers that run its software.
    Ripe,
}

/// How one IRR server is reached and asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IrrServerSettings {
    /// The address as `host:port`.
    pub server: String,
    pub protocol: IrrProtocol,
    /// Only objects of these sources; empty for the server's default.
    pub sources: Vec<String>,
    /// The most connections at the same time.
    pub connections: NonZeroUsize,
}

/// Why a server gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Connection(ConnectionFault),
    #[error("no complete answer in time")]
    TimedOut,
    #[error("the server refused the query: {0}")]
    Refused(String),
    #[error("its answer is not as documented: {0}")]
    UnexpectedAnswer(String),
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::Connection(ConnectionFault::of(&error))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let fault = match &error {
            Error::Connection(ConnectionFault::TimedOut) | Error::TimedOut => SourceFault::TimedOut,
            Error::Connection(_) => SourceFault::Unreachable,
            Error::Refused(_) => SourceFault::Refused,
            Error::UnexpectedAnswer(_) => SourceFault::AnswerInvalid,
        };
        fault.failure(error.to_string())
    }
}

type Connection = BufReader<TcpStream>;

/// A client of one server.
#[derive(Debug)]
pub struct WhoisServer {
    settings: IrrServerSettings,
    /// One permit for each connection in use.
    slots: Semaphore,
    /// Idle connections. The flag says whether IRRd's RPKI filter was turned off, which cannot be undone on a connection.
    /// The lock is never held across an await.
    idle: Mutex<Vec<(bool, Connection)>>,
}

impl WhoisServer {
    /// Makes a client; it connects when it is first asked.
    pub fn new(settings: IrrServerSettings) -> Arc<Self> {
        let slots = Semaphore::new(settings.connections.get());
        Arc::new(Self { settings, slots, idle: Mutex::default() })
    }

    /// The name of the server in verdicts, such as "irr whois.radb.net:43".
    pub fn name(&self) -> String {
        format!("irr {}", self.settings.server)
    }

    /// Whether the server may hide objects that the RPKI says are invalid.
    pub fn has_rpki_filter(&self) -> bool {
        self.settings.protocol == IrrProtocol::Irrd
    }

    /// The route objects for the prefix and for every covering prefix; with `unfiltered`, also those that the RPKI filter hides.
    pub async fn routes(&self, prefix: Network, unfiltered: bool) -> Result<Vec<RouteObject>, Error> {
        let _slot = self.slots.acquire().await.map_err(|_| Error::Connection(ConnectionFault::Other))?;
        let asked = tokio::time::timeout(QUERY_TIMEOUT, self.ask(prefix, unfiltered)).await;
        Ok(object::parse_routes(&asked.map_err(|_| Error::TimedOut)??))
    }

    async fn ask(&self, prefix: Network, unfiltered: bool) -> Result<String, Error> {
        if self.settings.protocol == IrrProtocol::Ripe {
            return self.ask_ripe(prefix).await;
        }
        let query = format!("!r{prefix},L");
        // The server may have closed an idle connection in the meantime; only then the query is repeated on a new one.
        if let Some(mut connection) = self.take_idle(unfiltered)
            && let Ok(answer) = exchange(&mut connection, &query).await
        {
            self.keep_idle(unfiltered, connection);
            return text_of(answer);
        }
        let mut connection = self.open(unfiltered).await?;
        let answer = exchange(&mut connection, &query).await?;
        self.keep_idle(unfiltered, connection);
        text_of(answer)
    }

    async fn open(&self, unfiltered: bool) -> Result<Connection, Error> {
        let mut connection = BufReader::new(TcpStream::connect(&self.settings.server).await?);
        connection.write_all(b"!!\n").await?;
        let mut setup = vec!["!nleasehold".to_owned()];
        if !self.settings.sources.is_empty() {
            setup.push(format!("!s{}", self.settings.sources.join(",")));
        }
        if unfiltered {
            setup.push("!fno-rpki-filter".to_owned());
        }
        for query in setup {
            text_of(exchange(&mut connection, &query).await?)?;
        }
        Ok(connection)
    }

    /// The URL of the geofeed of the most specific inetnum that contains the prefix. `None` if it has none, or if the server does
    /// not hold inetnum objects (IRRd).
    pub async fn geofeed(&self, prefix: Network) -> Result<Option<String>, Error> {
        if self.settings.protocol != IrrProtocol::Ripe {
            return Ok(None);
        }
        let _slot = self.slots.acquire().await.map_err(|_| Error::Connection(ConnectionFault::Other))?;
        let kind = if prefix.is_ipv4() { "inetnum" } else { "inet6num" };
        let asked =
            tokio::time::timeout(QUERY_TIMEOUT, self.query_ripe(&format!("-T {kind} {prefix}"))).await;
        Ok(object::geofeed_url(&asked.map_err(|_| Error::TimedOut)??))
    }

    async fn ask_ripe(&self, prefix: Network) -> Result<String, Error> {
        let kind = if prefix.is_ipv4() { "route" } else { "route6" };
        // -L: this prefix and all less specific ones.
        self.query_ripe(&format!("-T {kind} -L {prefix}")).await
    }

    async fn query_ripe(&self, query: &str) -> Result<String, Error> {
        let mut connection = BufReader::new(TcpStream::connect(&self.settings.server).await?);
        let sources = match self.settings.sources.as_slice() {
            [] => String::new(),
            sources => format!(" -s {}", sources.join(",")),
        };
        // -r: no contact objects; -B: unfiltered attributes; -G: no grouping.
        connection.write_all(format!("-rBG{sources} {query}\r\n").as_bytes()).await?;
        let mut bytes = Vec::new();
        (&mut connection).take(MAX_BYTES).read_to_end(&mut bytes).await?;
        if bytes.len() as u64 == MAX_BYTES {
            return Err(Error::UnexpectedAnswer(format!("more than {MAX_BYTES} bytes")));
        }
        // Answers are mostly Latin-1, but the attributes that are used are ASCII.
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let errors = text.lines().filter(|line| line.starts_with("%ERROR:"));
        // Error 101 is "no entries found", which is an answer.
        match errors.into_iter().find(|line| !line.starts_with("%ERROR:101")) {
            Some(error) => Err(Error::Refused(shortened(error.trim_start_matches("%ERROR:")))),
            None if text.contains("%ERROR:101") => Ok(text),
            // A server that answers only comments hung up before the data.
            None if text.lines().all(|line| line.trim().is_empty() || line.starts_with('%')) => {
                Err(Error::UnexpectedAnswer("it ends before any object".to_owned()))
            }
            None => Ok(text),
        }
    }

    fn take_idle(&self, unfiltered: bool) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let at = idle.iter().position(|(kind, _)| *kind == unfiltered)?;
        Some(idle.swap_remove(at).1)
    }

    fn keep_idle(&self, unfiltered: bool, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        // Idle connections count against the server's limit too.
        if idle.len() >= self.settings.connections.get() {
            idle.remove(0);
        }
        idle.push((unfiltered, connection));
    }
}

/// An answer of IRRd.
enum IrrdAnswer {
    Data(String),
    NoData,
    Refused(String),
}

fn text_of(answer: IrrdAnswer) -> Result<String, Error> {
    match answer {
        IrrdAnswer::Data(text) => Ok(text),
        IrrdAnswer::NoData => Ok(String::new()),
        IrrdAnswer::Refused(why) => Err(Error::Refused(why)),
    }
}

/// Sends a query and reads the answer. Data come as `A` with a length, the data and `C`; no data as `C` alone or `D`; an error
/// as `E` or `F` with its text.
async fn exchange(connection: &mut Connection, query: &str) -> Result<IrrdAnswer, Error> {
    connection.write_all(query.as_bytes()).await?;
    connection.write_all(b"\n").await?;
    let line = read_line(connection).await?;
    let mut chars = line.chars();
    match (chars.next(), chars.as_str()) {
        (Some('C' | 'D'), _) => Ok(IrrdAnswer::NoData),
        (Some('E' | 'F'), why) => Ok(IrrdAnswer::Refused(shortened(why.trim()))),
        (Some('A'), length) => {
            let length: u64 = length.trim().parse().map_err(|_| Error::UnexpectedAnswer(shortened(&line)))?;
            if length > MAX_BYTES {
                return Err(Error::UnexpectedAnswer(format!("{length} bytes")));
            }
            let mut data = vec![0; usize::try_from(length).unwrap_or_default()];
            connection.read_exact(&mut data).await?;
            let end = read_line(connection).await?;
            if !end.starts_with('C') {
                return Err(Error::UnexpectedAnswer(shortened(&end)));
            }
            // Objects may be in any encoding.
            Ok(IrrdAnswer::Data(String::from_utf8_lossy(&data).into_owned()))
        }
        _ => Err(Error::UnexpectedAnswer(line.chars().take(60).collect())),
    }
}

/// What a server says of itself, at a length that fits into a message.
fn shortened(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(REFUSAL_CHARS).collect()
}

async fn read_line(connection: &mut Connection) -> Result<String, Error> {
    let mut line = Vec::new();
    connection.take(1024).read_until(b'\n', &mut line).await?;
    if !line.ends_with(b"\n") {
        return Err(Error::Connection(ConnectionFault::Broken));
    }
    Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
}
