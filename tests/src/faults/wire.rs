//! One request and one answer per connection, so that a fault is about one call.
//!
//! The server of hyper would do, but turning that feature on rebuilds every AWS crate.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::Result;

/// What a client sent.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    /// With the query.
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    /// Reads a request. `None`: the client hung up without one.
    pub async fn read(stream: &mut TcpStream) -> Result<Option<Self>> {
        let mut received = Vec::new();
        loop {
            if stream.read_buf(&mut received).await? == 0 {
                return Ok(None);
            }
            let mut headers = [httparse::EMPTY_HEADER; 64];
            let mut head = httparse::Request::new(&mut headers);
            let httparse::Status::Complete(length) = head.parse(&received)? else {
                continue;
            };
            let headers = head.headers.iter().map(|header| {
                let value = String::from_utf8_lossy(header.value).into_owned();
                (header.name.to_ascii_lowercase(), value)
            });
            let mut request = Self {
                method: head.method.unwrap_or_default().to_owned(),
                path: head.path.unwrap_or_default().to_owned(),
                headers: headers.collect(),
                body: Vec::new(),
            };
            let expected = match request.header("content-length") {
                Some(length) => length.parse()?,
                None if request.header("transfer-encoding").is_some() => {
                    return Err("a request in chunks".into());
                }
                None => 0,
            };
            request.body = received.split_off(length);
            while request.body.len() < expected {
                if stream.read_buf(&mut request.body).await? == 0 {
                    return Ok(None);
                }
            }
            return Ok(Some(request));
        }
    }

    /// The value of a header, by its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(known, _)| known == name);
        found.next().map(|(_, value)| value.as_str())
    }
}

/// Sends a request on and takes the whole answer.
pub(super) async fn forward(server: &str, request: &Request) -> Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    let mut head = format!("{} {} HTTP/1.1\r\n", request.method, request.path);
    for (name, value) in &request.headers {
        if name != "connection" {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    head.push_str("connection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&request.body).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    if answer.is_empty() {
        return Err("the emulator hung up".into());
    }
    Ok(answer)
}

/// Answers, and ends the connection.
pub async fn reply(stream: &mut TcpStream, answer: &[u8]) -> Result {
    let line = answer.iter().position(|byte| *byte == b'\n').unwrap_or(0) + 1;
    stream.write_all(&answer[..line]).await?;
    // Else the client would send its next request here.
    stream.write_all(b"connection: close\r\n").await?;
    stream.write_all(&answer[line..]).await?;
    Ok(stream.shutdown().await?)
}

/// Never answers; ends when the client does.
pub(super) async fn hold(stream: &mut TcpStream) -> Result {
    let mut more = Vec::new();
    stream.read_to_end(&mut more).await?;
    Ok(())
}
