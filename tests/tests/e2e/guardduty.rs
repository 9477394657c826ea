//! GuardDuty, which the emulators do not serve: a detector, and findings that it has.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use integration_tests::Result;
use serde_json::{Value, json};

pub(crate) struct GuardDuty {
    pub(crate) endpoint: String,
}

impl GuardDuty {
    /// With a detector in this state, or none.
    pub(crate) fn with(status: Option<&'static str>) -> Result<Self> {
        Self::having(status, &[])
    }

    /// The same, which has made these findings.
    pub(crate) fn having(status: Option<&'static str>, findings: &[Value]) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let ids: Vec<_> = findings.iter().map(|it| it["id"].clone()).collect();
        let (ids, findings) = (
            json!({ "findingIds": ids }),
            json!({ "findings": findings }),
        );
        // It ends with the test's process.
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let Ok(mut connection) = connection else {
                    return;
                };
                let mut request = vec![0; 16 * 1024];
                let read = connection.read(&mut request).unwrap_or_default();
                let request = String::from_utf8_lossy(&request[..read]).into_owned();
                let asked = request.split(' ').nth(1).unwrap_or_default();
                let body = match status {
                    None => json!({ "detectorIds": [] }),
                    Some(_) if asked == "/detector" => json!({ "detectorIds": ["d0123"] }),
                    Some(_) if asked.ends_with("/findings") => ids.clone(),
                    Some(_) if asked.ends_with("/findings/get") => findings.clone(),
                    Some(status) => json!({
                        "status": status, "serviceRole": "", "findingPublishingFrequency": "SIX_HOURS",
                    }),
                };
                let body = body.to_string();
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\
                     Content-Length: {}\r\n\r\n{body}",
                    body.len()
                );
                let _ = connection.write_all(answer.as_bytes());
            }
        });
        Ok(Self { endpoint })
    }
}
