//! Users, roles, the root user, and the rules of the account,
//! <https://docs.aws.amazon.com/guardduty/latest/ug/compromised-creds.html>.

use crate::finding::{FindingType, Principal};

/// Why nothing in IAM contains a principal, and what to do instead; for kinds that are neither a user nor a
/// role of the account, by CloudTrail's words for them,
/// <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html>.
pub fn uncontained(principal: &Principal) -> String {
    let (user_type, id) = match principal {
        Principal::InstanceIdentity { instance } => {
            let instance = instance.as_deref().unwrap_or("the instance");
            return format!(
                "{principal} is no role of IAM, so no policy binds it and IAM can deny it nothing: isolate \
                 {instance}, which alone receives its credentials; they expire within hours after that"
            );
        }
        Principal::Other { user_type, id, .. } => (user_type.as_str(), id.as_deref()),
        _ => ("", None),
    };
    let id = id.unwrap_or("the principal id of the finding");
    let instead = match user_type {
        "IdentityCenterUser" => format!(
            "look {id} up in the identity store (aws identitystore describe-user), disable that user in IAM \
             Identity Center, and deny the sessions of its permission sets"
        ),
        "WebIdentityUser" => format!(
            "find its identity provider and subject in {id}; block the subject at the provider, and narrow \
             who may assume the role in the role's trust policy (the conditions on sub and aud)"
        ),
        "SAMLUser" => format!(
            "find its identity provider and subject in {id}; block the user at the provider, and narrow who \
             may assume the role in the role's trust policy (the conditions on saml:sub and saml:namequalifier)"
        ),
        "Directory" => "look in the directory (AWS Directory Service) for the user behind the call, and \
                        disable that user there"
            .to_owned(),
        "AWSService" => "find out who configured that service: it acts for somebody".to_owned(),
        _ => "find out on whose behalf it acted, in CloudTrail by the time and the address of the call"
            .to_owned(),
    };
    format!("{principal} is not a user or role that can be contained: {instead}")
}

pub(super) fn credentials(kind: &FindingType) -> &'static str {
    match (kind.purpose(), kind.family()) {
        (_, "RootCredentialUsage") => {
            "ask who used the root user and for what; if nobody did, change its password, delete its \
             access keys, look at its MFA devices and at the account's e-mail address and telephone \
             number; then keep root for what only root can do, and in an organization remove the root \
             credentials of member accounts"
        }
        (_, "ShortTermRootCredentialUsage") => {
            "find the call of sts:AssumeRoot in the CloudTrail of the management or delegated \
             administrator account, and ask the principal that made it; the session ends within 15 \
             minutes, so contain that principal and look at what the session changed (bucket and queue \
             policies, root credentials)"
        }
        (_, "CloudTrailLoggingDisabled" | "LoggingConfigurationModified") => {
            "start the trail again (cloudtrail:StartLogging) or recreate it, and check its bucket, its \
             key and its event selectors; look in the event history, which cannot be turned off, for the \
             activity of that time; an organization's trail or a service control policy prevents a \
             repetition"
        }
        (_, "PasswordPolicyChange") => {
            "put the account's password policy back, and look for users, login profiles and access keys \
             that were made since"
        }
        (_, "BedrockLoggingDisabled") => {
            "turn the logging of model invocations on again \
             (bedrock:PutModelInvocationLoggingConfiguration), and look at which models the principal \
             invoked since"
        }
        (_, "PromptInjection") => {
            "read the prompt in the guardrail's trace, and find the user of the application who wrote it; \
             let the guardrail's prompt attack filter block and not only detect, and see what tools and \
             data the model could reach"
        }
        (_, "AnomalousModelInvocation" | "CostHarvesting") => {
            "ask the owner whether the application changed or is busier than before; if not, rotate its \
             credentials, allow invoking models only to the principals that need it, and look at the \
             bill: the finding lists the models"
        }
        (_, "CompromisedCredentials") => {
            "Amazon's threat intelligence lists the key as leaked: find out where it leaked (a \
             repository, an image, a page, a log) and remove it there; give its programs another key; \
             review the activity with the old one since it was made"
        }
        (_, "InstanceCredentialExfiltration" | "ResourceCredentialExfiltration") => {
            "find out how the credentials left the instance, function or ECS task (a request forged \
             through its application, IMDSv1, code that prints its environment); close that way, and \
             revoke the sessions of its role; if the caller is a proxy or a VPC of your own, suppress \
             its address by a rule"
        }
        (_, "ConsoleLogin" | "ConsoleLoginSuccess") => {
            "ask the user about the sign-in; if it was not theirs, reset the password, look at the MFA \
             devices, and find out what was done in the console since"
        }
        (_, family) if family.ends_with("Linux") => {
            "ask whether a penetration test was agreed on, with these credentials and at this time; if \
             not, rotate them and find out where they leaked"
        }
        ("Policy" | "Stealth", _) if kind.resource() == "S3" => {
            "ask the principal why the bucket's configuration was changed; if the owner did not make the \
             change, rotate the credentials, and look for other buckets that it changed (CloudTrail)"
        }
        _ => {
            "review the permissions of the principal and its activity since the first event, above all keys, users, \
             roles and policies; rotate its credentials unless the owner made the call"
        }
    }
}

/// Custom Detection Rules on how accounts and identities are administered.
pub(super) fn administration(kind: &FindingType) -> Option<&'static str> {
    Some(match (kind.resource(), kind.purpose(), kind.family()) {
        ("IAM", "InitialAccess", _) => {
            "ask the user about the sign-in without MFA; if it was not theirs, reset the password, end \
             the user's sessions, and require MFA by a policy (aws:MultiFactorAuthPresent)"
        }
        ("IAM", "PrivilegeEscalation", _) => {
            "ask who needed the policy (full access to all services or to SES) or the Bedrock credential; \
             if nobody did, detach or delete it, and look at what its user or role did since, and at the \
             principal that gave it"
        }
        ("IAM", ..) => {
            "look at the access key, the login profile or the trust policy that was made or changed; \
             deactivate or put back what its owner does not know, and look at what was done with it, and \
             at the principal that made it"
        }
        ("Organizations", _, "ModifyCloudResourceHierarchy") => {
            "ask the management account whether this account was to leave; if not, contain the principal, \
             and deny organizations:LeaveOrganization by a service control policy"
        }
        ("Organizations", ..) => {
            "enable the policy type on the root again, and attach its policies again: all service \
             control or resource control policies lost their effect with it; review the activity of the \
             accounts in that time"
        }
        ("RolesAnywhere", ..) => {
            "disable the trust anchor unless its certificate authority is known, and look for sessions \
             that profiles gave to certificates of it (CloudTrail, rolesanywhere:CreateSession)"
        }
        _ => return None,
    })
}
