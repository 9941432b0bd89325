//! The driver's side of the conversation with its pods, over their primary addresses.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::protocol::{Ask, Greeting, Question, Reply, Token, parse_line};

/// How long a pod may take to take a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// Longest line, bytes.
const LINE: u64 = 16 * 1024;

/// Asks a pod; `patience` is for its answer.
///
/// # Errors
/// When it cannot be reached, does not answer in time, or is no pod of this run.
pub(crate) async fn ask(pod: SocketAddr, token: &Token, ask: &Ask, patience: Duration) -> io::Result<Reply> {
    let late = |_| io::Error::from(io::ErrorKind::TimedOut);
    let stream = timeout(CONNECT, TcpStream::connect(pod)).await.map_err(late)??;
    timeout(patience, converse(stream, token, ask)).await.map_err(late)?
}

async fn converse(stream: TcpStream, token: &Token, ask: &Ask) -> io::Result<Reply> {
    let mut stream = BufReader::new(stream);
    let Greeting { nonce } = parse_line(&line(&mut stream).await?)?;
    let mut question = serde_json::to_vec(&Question::new(token, &nonce, ask)?)?;
    question.push(b'\n');
    stream.write_all(&question).await?;
    parse_line(&line(&mut stream).await?)
}

async fn line(stream: &mut BufReader<TcpStream>) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    stream.take(LINE).read_until(b'\n', &mut line).await?;
    Ok(line)
}
