//! What the log says that the stack has alarms on.

use std::io;

use aws_sdk_ssm::operation::get_parameter::GetParameterOutput;
use aws_sdk_ssm::types::Parameter;

use super::*;
use policy::{DEFAULT, UNUSABLE};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether the log has the line about policies that cannot be used, of an event under `policies`.
async fn alarms(config: Config, policies: PolicyParameter) -> bool {
    let (log, (_, _, sns)) = (Log::default(), topic());
    let to = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || to.clone());
    let reading = tracing::subscriber::set_default(subscriber.finish());
    let guards = AuthorizationSources {
        policies,
        history: None,
    };
    let responder = Responder::new(Fake::new([act("exposed")]), config, sns);
    let answer = answer(&responder.guarded(guards), made_public()).await;
    drop(reading);
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(answer.is_ok(), "{log}");
    log.contains(UNUSABLE)
}

/// The policies of a parameter that holds this text, or of one that there is not.
fn stored(text: Option<&'static str>) -> PolicyParameter {
    use aws_sdk_ssm::Client;
    let wire = Wire::new(Protocol::Json);
    if text.is_none() {
        wire.fail("ssm:GetParameter", 400, "ParameterNotFound");
    }
    let get = mock!(Client::get_parameter).then_compute_response(move |_| {
        wire.answer("ssm:GetParameter", || {
            let parameter = Parameter::builder().set_value(text.map(ToOwned::to_owned));
            Ok(GetParameterOutput::builder()
                .parameter(parameter.build())
                .build())
        })
    });
    let client = mock_client!(aws_sdk_ssm, [&get]);
    PolicyParameter::new(client, "policies".to_owned())
}

#[tokio::test(start_paused = true)]
async fn policies_that_cannot_be_used_are_in_the_log_by_the_words_that_the_alarm_is_on() {
    for config in [enforcing(), dry_run()] {
        for (text, alarmed) in [
            (Some(DEFAULT), false),
            (Some("permit everything"), true),
            (None, true),
        ] {
            let found = alarms(config.clone(), stored(text)).await;
            assert_eq!(found, alarmed, "{text:?}");
        }
    }
}
