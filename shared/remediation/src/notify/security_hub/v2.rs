//! The Security Hub beside Security Hub CSPM. It tells findings in OCSF, has a record of each of its own, and its
//! calls end in `V2`. Either can be on without the other,
//! <https://docs.aws.amazon.com/securityhub/1.0/APIReference/API_BatchUpdateFindingsV2.html>.
//!
//! The finding gets a comment there, and the status In Progress, as CSPM's `NOTIFIED`. Security Hub does not say who
//! wrote a comment: one that does not begin with the responder's name is an analyst's.

use aws_sdk_securityhub::types::{
    AllowedOperators, BatchUpdateFindingsV2UnprocessedFindingErrorCode as Code, CompositeFilter,
    OcsfFindingFilters, OcsfFindingIdentifier, OcsfStringField, OcsfStringFilter,
};
use aws_smithy_types::{Document, Number};

use super::{NOT_FOUND, SecurityHub, Update, WRITER, equals, in_region};
use crate::error::{CallContext as _, CallError, CallFailure, Error, Result};

/// In OCSF: under review, <https://schema.ocsf.io/1.6.0/classes/detection_finding>.
const IN_PROGRESS: i32 = 2;
/// In OCSF: nobody has looked at it. A finding may also say no status, or that it is unknown (0).
const UNTOUCHED: [i32; 2] = [0, 1];

impl SecurityHub {
    /// Writes the comment and the status. False: it is off.
    ///
    /// # Errors
    /// As of [`SecurityHub::update`].
    pub(super) async fn write_v2(&self, update: &Update, note: &str) -> Result<bool> {
        match self.v2_is_on(update).await {
            Ok(true) => {}
            // Where there is no such Security Hub, whoever asks for it may be refused in any way.
            Err(error) if !error.is_transient() => {
                tracing::warn!(%error, "it is not known whether Security Hub is on beside Security Hub CSPM");
                return Ok(false);
            }
            other => return other,
        }
        let current = self.current_v2(update).await?;
        let comment = current.comment.as_deref().unwrap_or_default().trim();
        let an_analysts = !comment.is_empty() && !comment.starts_with(WRITER);
        let new = current
            .status
            .is_none_or(|status| UNTOUCHED.contains(&status));
        if an_analysts && !new {
            return Ok(true);
        }
        self.update_v2(
            update,
            current.identifier,
            Some(note).filter(|_| !an_analysts),
            Some(IN_PROGRESS).filter(|_| new),
        )
        .await?;
        Ok(true)
    }

    /// "You are not subscribed to HubV2" is an error of its own.
    async fn v2_is_on(&self, update: &Update) -> Result<bool> {
        let asked = self
            .0
            .describe_security_hub_v2()
            .customize()
            .config_override(in_region(update))
            .send()
            .await
            .during("securityhub:DescribeSecurityHubV2", &update.region);
        match asked {
            Ok(_) => Ok(true),
            Err(error) if error.has_code("ResourceNotFoundException") => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn current_v2(&self, update: &Update) -> Result<Current> {
        const OPERATION: &str = "securityhub:GetFindingsV2";
        let of_finding = OcsfStringFilter::builder()
            .field_name(OcsfStringField::FindingInfoUid)
            .filter(equals(&update.finding))
            .build();
        let filters = CompositeFilter::builder()
            .string_filters(of_finding)
            .operator(AllowedOperators::And);
        let filters = OcsfFindingFilters::builder().composite_filters(filters.build());
        let answer = self
            .0
            .get_findings_v2()
            .filters(filters.build())
            .customize()
            .config_override(in_region(update))
            .send()
            .await
            .during(OPERATION, &update.finding)?;
        match answer.findings().first() {
            Some(found) => Current::read(found, &update.finding),
            None => {
                let message = "Security Hub does not have the finding";
                let error =
                    CallError::within_answer(OPERATION, &update.finding, NOT_FOUND, message);
                let kind = CallFailure::Transient;
                Err(CallError { kind, ..error }.into())
            }
        }
    }

    async fn update_v2(
        &self,
        update: &Update,
        identifier: OcsfFindingIdentifier,
        comment: Option<&str>,
        status: Option<i32>,
    ) -> Result<()> {
        const OPERATION: &str = "securityhub:BatchUpdateFindingsV2";
        let answer = self
            .0
            .batch_update_findings_v2()
            .finding_identifiers(identifier)
            .set_comment(comment.map(ToOwned::to_owned))
            .set_status_id(status)
            .customize()
            .config_override(in_region(update))
            .send()
            .await
            .during(OPERATION, &update.finding)?;
        let Some(refused) = answer.unprocessed_findings().first() else {
            return Ok(());
        };
        let code = refused.error_code();
        let message = refused.error_message().unwrap_or_default();
        let word = code.map_or("", Code::as_str);
        let mut error = CallError::within_answer(OPERATION, &update.finding, word, message);
        let later = matches!(
            code,
            Some(
                Code::ResourceNotFoundException
                    | Code::ConflictException
                    | Code::InternalServerException
            )
        );
        if later {
            error.kind = CallFailure::Transient;
        }
        Err(error.into())
    }
}

/// The finding as Security Hub has it.
struct Current {
    identifier: OcsfFindingIdentifier,
    comment: Option<String>,
    status: Option<i32>,
}

impl Current {
    /// # Errors
    /// If it does not say what an update names it by.
    fn read(finding: &Document, arn: &str) -> Result<Self> {
        let named = |path: &[&str]| {
            let text = member(finding, path).and_then(Document::as_string);
            text.ok_or_else(|| {
                Error::Refused(format!(
                    "securityhub:GetFindingsV2 of {arn} tells no {}, by which an update names it",
                    path.join(".")
                ))
            })
        };
        let identifier = OcsfFindingIdentifier::builder()
            .cloud_account_uid(named(&["cloud", "account", "uid"])?)
            .finding_info_uid(named(&["finding_info", "uid"])?)
            .metadata_product_uid(named(&["metadata", "product", "uid"])?)
            .build();
        let comment = member(finding, &["comment"]).and_then(Document::as_string);
        let status = member(finding, &["status_id"]).and_then(Document::as_number);
        Ok(Self {
            identifier,
            comment: comment.map(ToOwned::to_owned),
            status: status.and_then(|status: &Number| i32::try_from(*status).ok()),
        })
    }
}

fn member<'a>(document: &'a Document, path: &[&str]) -> Option<&'a Document> {
    path.iter()
        .try_fold(document, |inner, name| inner.as_object()?.get(*name))
}

#[cfg(test)]
mod tests;
