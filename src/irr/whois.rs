//! Two protocols on port 43: IRRd's (`!` queries on a connection that stays open) and RIPE's (one query, then the end).
//!
//! A server is asked over few connections at a time, since registries count them by address; an idle one is kept for the
//! next query. An answer is bounded in time and size.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use super::object::{self, RouteObject};
use crate::model::Network;

/// A whole question may take so long, connecting included.
const PATIENCE: Duration = Duration::from_secs(15);
const MOST: u64 = 4 << 20;

/// How a server is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// IRRd, and what speaks as it does: RADB, NTT, most mirrors.
    Irrd,
    /// RIPE's database and those that run its software.
    Ripe,
}

/// A server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSettings {
    /// `host:port`.
    pub server: String,
    /// How it is spoken to.
    pub protocol: Protocol,
    /// Only these sources; the server's own choice if empty.
    pub sources: Vec<String>,
    /// At most so many connections at once.
    pub connections: usize,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No connection, or it broke.
    #[error("{0}")]
    Broken(String),
    /// No whole answer in time.
    #[error("no answer in time")]
    TimedOut,
    /// It answered that it will not, or cannot.
    #[error("it says: {0}")]
    Refused(String),
    /// Not the protocol.
    #[error("its answer is not as documented: {0}")]
    Odd(String),
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::Broken(error.to_string())
    }
}

type Connection = BufReader<TcpStream>;

/// One server, its connections and its limits.
#[derive(Debug)]
pub struct Whois {
    settings: ServerSettings,
    slots: Semaphore,
    /// Idle ones; by whether IRRd's RPKI filter is off on them, which cannot be undone.
    idle: Mutex<Vec<(bool, Connection)>>,
}

impl Whois {
    /// Connects when it is first asked.
    pub fn new(settings: ServerSettings) -> Arc<Self> {
        let slots = Semaphore::new(settings.connections.max(1));
        Arc::new(Self { settings, slots, idle: Mutex::default() })
    }

    /// What it is called in answers. Example: "irr whois.radb.net:43".
    pub fn name(&self) -> String {
        format!("irr {}", self.settings.server)
    }

    /// Whether there is something that the server hides from those who filter.
    pub fn filters(&self) -> bool {
        self.settings.protocol == Protocol::Irrd
    }

    /// Objects for the prefix and for every prefix around it.
    pub async fn routes(&self, prefix: Network, unfiltered: bool) -> Result<Vec<RouteObject>, Error> {
        let _slot = self.slots.acquire().await.map_err(|error| Error::Broken(error.to_string()))?;
        let asked = tokio::time::timeout(PATIENCE, self.ask(prefix, unfiltered)).await;
        Ok(object::read(&asked.map_err(|_| Error::TimedOut)??))
    }

    async fn ask(&self, prefix: Network, unfiltered: bool) -> Result<String, Error> {
        if self.settings.protocol == Protocol::Ripe {
            return self.ask_ripe(prefix).await;
        }
        let query = format!("!r{prefix},L");
        // One that was idle may have been closed meanwhile: then, and only then, a new one is tried.
        if let Some(mut connection) = self.take(unfiltered)
            && let Ok(answer) = exchange(&mut connection, &query).await
        {
            self.keep(unfiltered, connection);
            return answered(answer);
        }
        let mut connection = self.open(unfiltered).await?;
        let answer = exchange(&mut connection, &query).await?;
        self.keep(unfiltered, connection);
        answered(answer)
    }

    async fn open(&self, unfiltered: bool) -> Result<Connection, Error> {
        let mut connection = BufReader::new(TcpStream::connect(&self.settings.server).await?);
        connection.write_all(b"!!\n").await?;
        let mut greet = vec!["!nleasehold".to_owned()];
        if !self.settings.sources.is_empty() {
            greet.push(format!("!s{}", self.settings.sources.join(",")));
        }
        if unfiltered {
            greet.push("!fno-rpki-filter".to_owned());
        }
        for query in greet {
            answered(exchange(&mut connection, &query).await?)?;
        }
        Ok(connection)
    }

    /// The geofeed that the nearest inetnum around a prefix names; `None` if it names none, or if the server has no such objects.
    pub async fn geofeed(&self, prefix: Network) -> Result<Option<String>, Error> {
        if self.settings.protocol != Protocol::Ripe {
            return Ok(None);
        }
        let _slot = self.slots.acquire().await.map_err(|error| Error::Broken(error.to_string()))?;
        let kind = if prefix.is_ipv4() { "inetnum" } else { "inet6num" };
        let asked = tokio::time::timeout(PATIENCE, self.query_ripe(&format!("-T {kind} {prefix}"))).await;
        Ok(object::geofeed(&asked.map_err(|_| Error::TimedOut)??))
    }

    async fn ask_ripe(&self, prefix: Network) -> Result<String, Error> {
        let kind = if prefix.is_ipv4() { "route" } else { "route6" };
        // -L: it and all around it.
        self.query_ripe(&format!("-T {kind} -L {prefix}")).await
    }

    async fn query_ripe(&self, query: &str) -> Result<String, Error> {
        let mut connection = BufReader::new(TcpStream::connect(&self.settings.server).await?);
        let sources = match self.settings.sources.as_slice() {
            [] => String::new(),
            sources => format!(" -s {}", sources.join(",")),
        };
        // -r: no contacts; -B: as it is; -G: no grouping.
        connection.write_all(format!("-rBG{sources} {query}\r\n").as_bytes()).await?;
        let mut bytes = Vec::new();
        (&mut connection).take(MOST).read_to_end(&mut bytes).await?;
        if bytes.len() as u64 == MOST {
            return Err(Error::Odd(format!("more than {MOST} bytes")));
        }
        // Latin-1, mostly; the attributes that are read are ASCII.
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let errors = text.lines().filter(|line| line.starts_with("%ERROR:"));
        // 101 is "no entries found".
        match errors.into_iter().find(|line| !line.starts_with("%ERROR:101")) {
            Some(error) => Err(Error::Refused(error.trim_start_matches("%ERROR:").to_owned())),
            None if text.contains("%ERROR:101") => Ok(text),
            // Nothing but comments is a server that hung up before it came to the point.
            None if text.lines().all(|line| line.trim().is_empty() || line.starts_with('%')) => {
                Err(Error::Odd("it ends before it says anything".to_owned()))
            }
            None => Ok(text),
        }
    }

    fn take(&self, unfiltered: bool) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let at = idle.iter().position(|(kind, _)| *kind == unfiltered)?;
        Some(idle.swap_remove(at).1)
    }

    fn keep(&self, unfiltered: bool, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that are idle count against the server's limit too.
        if idle.len() >= self.settings.connections.max(1) {
            idle.remove(0);
        }
        idle.push((unfiltered, connection));
    }
}

/// An IRRd answer.
enum Answer {
    Text(String),
    Nothing,
    Refused(String),
}

fn answered(answer: Answer) -> Result<String, Error> {
    match answer {
        Answer::Text(text) => Ok(text),
        Answer::Nothing => Ok(String::new()),
        Answer::Refused(why) => Err(Error::Refused(why)),
    }
}

/// `A<length>`, data and `C`; `C` alone; `D` for nothing; `F` and why not.
async fn exchange(connection: &mut Connection, query: &str) -> Result<Answer, Error> {
    connection.write_all(query.as_bytes()).await?;
    connection.write_all(b"\n").await?;
    let line = line(connection).await?;
    let mut chars = line.chars();
    match (chars.next(), chars.as_str()) {
        (Some('C' | 'D'), _) => Ok(Answer::Nothing),
        (Some('E' | 'F'), why) => Ok(Answer::Refused(why.trim().to_owned())),
        (Some('A'), length) => {
            let length: u64 = length.trim().parse().map_err(|_| Error::Odd(line.clone()))?;
            if length > MOST {
                return Err(Error::Odd(format!("{length} bytes")));
            }
            let mut data = vec![0; usize::try_from(length).unwrap_or_default()];
            connection.read_exact(&mut data).await?;
            let end = self::line(connection).await?;
            if !end.starts_with('C') {
                return Err(Error::Odd(end));
            }
            // Names in objects may be of any encoding.
            Ok(Answer::Text(String::from_utf8_lossy(&data).into_owned()))
        }
        _ => Err(Error::Odd(line.chars().take(60).collect())),
    }
}

async fn line(connection: &mut Connection) -> Result<String, Error> {
    let mut line = Vec::new();
    connection.take(1024).read_until(b'\n', &mut line).await?;
    if !line.ends_with(b"\n") {
        return Err(Error::Broken("the server closed the connection".to_owned()));
    }
    Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
}
