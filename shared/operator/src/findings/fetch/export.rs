//! The export of findings to S3: `AWSLogs/<account>/GuardDuty/<Region>/<year>/<month>/<day>/<id>.jsonl.gz`,
//! <https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_exportfindings.html>.

use std::path::Path;

use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use futures::stream::{self, Stream, StreamExt as _};
use jiff::civil::Date;
use jiff::tz::Offset;
use remediation::error::{CallContext as _, Error};

use super::fetched::{AT_ONCE, Fetched, Period};
use crate::findings::source::may_have_findings;

/// The largest object in bytes. GuardDuty writes one for some minutes of findings.
const LARGEST: i64 = 256 << 20;

/// A part of a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Export {
    bucket: String,
    prefix: String,
}

impl Export {
    /// The export that `s3://bucket/prefix` names. `None`: the text is no such address.
    pub(crate) fn of(text: &str) -> Option<Self> {
        let (bucket, prefix) = text
            .strip_prefix("s3://")
            .map(|rest| rest.split_once('/').unwrap_or((rest, "")))?;
        (!bucket.is_empty()).then(|| Self {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
        })
    }

    pub(super) fn documents(
        &self,
        sdk: &SdkConfig,
        period: Period,
    ) -> impl Stream<Item = Fetched> + use<> {
        documents(Client::new(sdk), self.clone(), period)
    }

    fn address(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.bucket)
    }
}

/// The objects, in the order of their keys.
fn documents(
    client: Client,
    export: Export,
    period: Period,
) -> impl Stream<Item = Fetched> + use<> {
    let getter = (client.clone(), export.clone());
    keys(client, export, period)
        .map(move |key| {
            let (client, export) = getter.clone();
            async move {
                match key {
                    Ok(key) => {
                        let name = export.address(&key);
                        Fetched {
                            text: get(&client, &export.bucket, &key).await,
                            name,
                            last_known_only: false,
                        }
                    }
                    Err(failed) => failed,
                }
            }
        })
        .buffered(AT_ONCE)
}

/// The keys of the objects that have findings of the period. They end with the first list that fails.
fn keys(
    client: Client,
    export: Export,
    period: Period,
) -> impl Stream<Item = Result<String, Fetched>> {
    stream::unfold(Some(None), move |place: Option<Option<String>>| {
        let (client, export) = (client.clone(), export.clone());
        async move {
            let token = place?;
            let listed = client
                .list_objects_v2()
                .bucket(&export.bucket)
                .prefix(&export.prefix)
                .set_continuation_token(token)
                .send()
                .await
                .during("s3:ListBucket", &export.bucket);
            let listed = match listed {
                Ok(listed) => listed,
                Err(error) => {
                    let name = export.address(&export.prefix);
                    return Some((vec![Err(Fetched::failed(name, error.to_string()))], None));
                }
            };
            let objects = listed.contents.unwrap_or_default().into_iter();
            let keys = objects.filter_map(|object| {
                let key = object.key?;
                let wanted = !key.ends_with('/')
                    && may_have_findings(Path::new(&key))
                    && within(&key, period);
                let too_large = object.size.is_some_and(|size| size > LARGEST);
                wanted.then(|| match too_large {
                    true => Err(Fetched::failed(
                        export.address(&key),
                        format!("larger than {} MiB: download it", LARGEST >> 20),
                    )),
                    false => Ok(key),
                })
            });
            let next = listed.next_continuation_token.map(Some);
            Some((keys.collect(), next))
        }
    })
    .flat_map(stream::iter)
}

/// True unless the object is of a day outside of the period. One day more is taken at either end: findings
/// are exported some minutes after their updates.
fn within(key: &str, period: Period) -> bool {
    let Some(day) = day(key) else {
        return true;
    };
    let date = |time| Offset::UTC.to_datetime(time).date();
    let since = period.since.map(date);
    let until = period.until.map(|until| {
        let until = date(until);
        until.tomorrow().unwrap_or(until)
    });
    since.is_none_or(|since| day >= since) && until.is_none_or(|until| day <= until)
}

/// The day in a key of the export.
fn day(key: &str) -> Option<Date> {
    let (_, rest) = key.split_once("/GuardDuty/")?;
    let mut parts = rest.split('/').skip(1);
    let mut number = || parts.next()?.parse().ok();
    let (year, month, day): (i16, i8, i8) = (
        number()?,
        number()?.try_into().ok()?,
        number()?.try_into().ok()?,
    );
    Date::new(year, month, day).ok()
}

async fn get(client: &Client, bucket: &str, key: &str) -> Result<Vec<u8>, String> {
    let object = client.get_object().bucket(bucket).key(key).send().await;
    let object = object.during("s3:GetObject", key).map_err(|error| {
        let hint = match &error {
            Error::Call(call) if call.code == "AccessDenied" => {
                "; the export is encrypted: kms:Decrypt on its key is needed too"
            }
            _ => "",
        };
        format!("{error}{hint}")
    })?;
    let body = object.body.collect().await;
    let body = body.map_err(|error| format!("the object broke off: {error}"))?;
    Ok(body.to_vec())
}

#[cfg(test)]
mod tests;
