//! Plain HTTP: what anyone on the internet can send, without an SDK that might sign it.

use std::fmt::Write as _;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Result;

pub struct Response {
    pub status: u16,
    pub body: Vec<u8>,
}

/// GETs an `http://` address without credentials.
pub async fn get(url: &str) -> Result<Response> {
    let rest = url
        .strip_prefix("http://")
        .ok_or("not an http:// address")?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut stream = TcpStream::connect(host).await?;
    let mut request = String::new();
    // HTTP/1.0, so that the body ends with the connection and needs no decoding.
    write!(request, "GET /{path} HTTP/1.0\r\nHost: {host}\r\n\r\n")?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;

    let head = answer
        .windows(4)
        .position(|w| w == b"\r\n\r\n")
        .ok_or("no HTTP header")?;
    let status = std::str::from_utf8(&answer[..head])?
        .split_whitespace()
        .nth(1)
        .ok_or("no HTTP status")?
        .parse()?;
    Ok(Response {
        status,
        body: answer.split_off(head + 4),
    })
}
