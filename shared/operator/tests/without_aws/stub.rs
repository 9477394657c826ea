//! An endpoint that answers as a test says: what no emulator shows, and without one.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use integration_tests::Result;
use jiff::{SignedDuration, Timestamp};

pub(crate) const ACCOUNT: &str = "111122223333";

/// A call of the SDK.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// As in its signature: `dynamodb`.
    pub(crate) service: String,
    /// `Query`; of REST services `GET /path?query`.
    pub(crate) operation: String,
    pub(crate) body: String,
}

/// A status and a body. `None`: the call is refused.
pub(crate) type Answer = Option<(u16, String)>;

pub(crate) struct Stub {
    endpoint: String,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl Stub {
    /// One that answers as `answer` says.
    pub(crate) fn start(answer: impl Fn(&Call) -> Answer + Send + Sync + 'static) -> Result<Self> {
        Self::with_clock(SignedDuration::ZERO, answer)
    }

    /// One whose clock is `ahead`.
    pub(crate) fn with_clock(
        ahead: SignedDuration,
        answer: impl Fn(&Call) -> Answer + Send + Sync + 'static,
    ) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let calls = Arc::new(Mutex::new(Vec::new()));
        let (answer, kept) = (Arc::new(answer), Arc::clone(&calls));
        // It ends with the test's process.
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let (answer, kept) = (Arc::clone(&answer), Arc::clone(&kept));
                std::thread::spawn(move || serve(connection, ahead, &*answer, &kept));
            }
        });
        Ok(Self { endpoint, calls })
    }

    /// Where it listens.
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// What was asked so far.
    pub(crate) fn calls(&self) -> Vec<Call> {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.clone()
    }

    /// `gdr` as a person would call it.
    pub(crate) fn gdr(&self, arguments: &[&str], typed: &str) -> Result<Output> {
        let mut child = Command::new(env!("CARGO_BIN_EXE_gdr"))
            .args(arguments)
            .env_clear()
            .envs([
                ("AWS_ENDPOINT_URL", self.endpoint.as_str()),
                ("AWS_ACCESS_KEY_ID", "test"),
                ("AWS_SECRET_ACCESS_KEY", "test"),
                ("AWS_REGION", "us-east-1"),
                ("AWS_CONFIG_FILE", "/dev/null"),
                ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
                ("AWS_MAX_ATTEMPTS", "1"),
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut input = child.stdin.take().ok_or("no input")?;
        // What asks nothing may have ended by then.
        let _ = input.write_all(typed.as_bytes());
        drop(input);
        Ok(child.wait_with_output()?)
    }
}

fn serve(
    mut connection: TcpStream,
    ahead: SignedDuration,
    answer: &dyn Fn(&Call) -> Answer,
    calls: &Mutex<Vec<Call>>,
) {
    let Some(call) = read(&connection) else {
        return;
    };
    let refused = || {
        let rest = r#"{"__type":"AccessDeniedException","message":"the test says no"}"#;
        let xml = "<Error><Code>AccessDenied</Code><Message>the test says no</Message></Error>";
        let body = match call.service.as_str() {
            "s3" => xml.to_owned(),
            "cloudformation" | "iam" | "sns" | "sts" => {
                format!("<ErrorResponse>{xml}</ErrorResponse>")
            }
            _ => rest.to_owned(),
        };
        (403, body)
    };
    let (status, body) = answer(&call).unwrap_or_else(refused);
    calls
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(call);
    let now = Timestamp::now() + ahead;
    let _ = write!(
        connection,
        "HTTP/1.1 {status} Told\r\nDate: {}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        now.strftime("%a, %d %b %Y %H:%M:%S GMT"),
        body.len(),
    );
}

fn read(connection: &TcpStream) -> Option<Call> {
    let mut reader = BufReader::new(connection);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let first = line.rsplit_once(' ')?.0.to_owned();
    let (mut length, mut service, mut target) = (0, String::new(), None);
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().ok()?,
            // Credential=KEY/DATE/REGION/SERVICE/aws4_request
            "authorization" => service = value.split('/').nth(3)?.to_owned(),
            "x-amz-target" => target = value.rsplit('.').next().map(ToOwned::to_owned),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = String::from_utf8_lossy(&body).into_owned();
    let action = body.strip_prefix("Action=");
    let action = action.and_then(|body| body.split('&').next().map(ToOwned::to_owned));
    Some(Call {
        service,
        operation: target.or(action).unwrap_or(first),
        body,
    })
}
