//! One execution environment of a function: its program as a process of this machine, and the runtime API
//! that hands it events, <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>. Unlike the
//! emulator's, it can be killed at any moment.

use std::collections::HashMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;

use crate::Result;
use crate::faults::{Request, reply};

/// What an invocation came to: the answer, or what the function said of its failure.
pub type Answer = std::result::Result<Value, Value>;

pub struct Environment {
    process: Child,
    events: Sender<(String, Value, Duration)>,
    answers: Receiver<Answer>,
    api: JoinHandle<()>,
}

struct Api {
    events: Mutex<Receiver<(String, Value, Duration)>>,
    answers: Sender<Answer>,
}

impl Environment {
    /// Starts the program `bootstrap` with these variables and no others.
    pub async fn start(bootstrap: &Path, variables: &HashMap<String, String>) -> Result<Self> {
        Self::start_logging(bootstrap, variables, Stdio::null()).await
    }

    /// The same, with `log` for its standard output, where a function's log is.
    pub async fn start_logging(
        bootstrap: &Path,
        variables: &HashMap<String, String>,
        log: Stdio,
    ) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let (events, to_hand_out) = channel(1);
        let (taken, answers) = channel(1);
        let api = Arc::new(Api {
            events: Mutex::new(to_hand_out),
            answers: taken,
        });
        let api = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let api = Arc::clone(&api);
                // A process that is killed hangs up.
                tokio::spawn(async move { serve(stream, &api).await.ok() });
            }
        });
        let process = Command::new(bootstrap)
            .env_clear()
            .envs(variables)
            .env("AWS_LAMBDA_RUNTIME_API", address)
            .env("AWS_LAMBDA_FUNCTION_NAME", "local")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_LOG_GROUP_NAME", "local")
            .env("AWS_LAMBDA_LOG_STREAM_NAME", "local")
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self {
            process,
            events,
            answers,
            api,
        })
    }

    /// Hands it an event under the id of an invocation, which has so much time.
    pub async fn invoke(&mut self, event: &Value, id: &str, time: Duration) -> Result<Answer> {
        self.events
            .send((id.to_owned(), event.clone(), time))
            .await?;
        let answer = tokio::time::timeout(time, self.answers.recv()).await;
        Ok(answer
            .map_err(|_| "the function did not answer in its time")?
            .ok_or("the runtime API ended")?)
    }

    /// Ends the process as it is, and waits until it is gone.
    pub fn kill(&mut self) -> Result {
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }
}

impl Drop for Environment {
    fn drop(&mut self) {
        self.api.abort();
        // It may be gone already.
        self.kill().ok();
    }
}

async fn serve(mut stream: TcpStream, api: &Api) -> Result {
    let Some(request) = Request::read(&mut stream).await? else {
        return Ok(());
    };
    let body = || serde_json::from_slice(&request.body);
    match request.path.rsplit('/').next() {
        Some("next") => {
            let next = api.events.lock().await.recv().await;
            let (id, event, time) = next.ok_or("no more events")?;
            let event = event.to_string();
            let deadline = SystemTime::now().duration_since(UNIX_EPOCH)? + time;
            let answer = format!(
                "HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: {id}\r\n\
                 Lambda-Runtime-Deadline-Ms: {}\r\n\
                 Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:us-east-1:111122223333:function:local\r\n\
                 Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{event}",
                deadline.as_millis(),
                event.len(),
            );
            return reply(&mut stream, answer.as_bytes()).await;
        }
        Some("response") => api.answers.send(Ok(body()?)).await?,
        Some("error") => api.answers.send(Err(body()?)).await?,
        _ => {
            return reply(
                &mut stream,
                b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
            )
            .await;
        }
    }
    reply(
        &mut stream,
        b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n",
    )
    .await
}
